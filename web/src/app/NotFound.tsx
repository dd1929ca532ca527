import { Link } from '@tanstack/react-router'
import { useI18n } from '@/i18n/context'

export function NotFound() {
  const { t } = useI18n()
  return (
    <div className="empty">
      <h1>{t('problem.page')}</h1>
      <p>
        <Link to="/ui">{t('problem.pageHint')}</Link>
      </p>
    </div>
  )
}

/** A page that failed: the rest of the dashboard is a reload away. */
export function Broken({ error }: { error: unknown }) {
  const { t } = useI18n()
  return (
    <div className="empty" role="alert">
      <p>{t('problem.crash', { detail: error instanceof Error ? error.message : String(error) })}</p>
      <p>
        <a href="/ui/">{t('problem.pageHint')}</a>
      </p>
    </div>
  )
}
