import { useI18n } from '@/i18n/context'
import { CopyButton } from './CopyButton'

/** JSON as it was written: `text` is shown and copied as it is. */
export function Json({ label, text }: { label: string; text: string }) {
  const { t } = useI18n()
  return (
    <div className="code">
      <CopyButton text={text} label={`${t('empty.copy')}: ${label}`} />
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
    </div>
  )
}
