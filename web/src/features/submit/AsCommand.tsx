import { useWatch } from 'react-hook-form'
import { CopyButton } from '@/components/CopyButton'
import { useI18n } from '@/i18n/context'
import { useNow } from '@/lib/now'
import { bodyOf, faultsOf, type Draft } from './submit.model'

/** The same submission as a line for a shell: what the form does is no secret. */
export function AsCommand() {
  const { t } = useI18n()
  const draft = useWatch<Draft>() as Draft
  const now = useNow()
  if (faultsOf(draft, now).length > 0) return null
  const line = `curl -X POST ${location.origin}/tasks -H 'Content-Type: application/json' -d '${bodyOf(draft).replaceAll("'", `'\\''`)}'`
  return (
    <details className="submit-more">
      <summary>{t('submit.asCommand')}</summary>
      <div className="code">
        <CopyButton text={line} label={`${t('empty.copy')}: curl`} />
        <pre tabIndex={0} aria-label="curl">{line}</pre>
      </div>
    </details>
  )
}
