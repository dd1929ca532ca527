import { useId, type ReactNode } from 'react'
import { useI18n } from '@/i18n/context'
import { Boundary } from './errors'

/** A titled part of a page. */
export function Panel({ title, aside, children, className = '' }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  const id = useId()
  const { t } = useI18n()
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div className="panel-aside">{aside}</div>}
      </header>
      <Boundary fallback={(error) => <p className="empty-line">{t('problem.crash', { detail: error instanceof Error ? error.message : String(error) })}</p>}>{children}</Boundary>
    </section>
  )
}
