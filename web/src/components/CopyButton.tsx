import { useEffect, useState } from 'react'
import { useI18n } from '@/i18n/context'

/** `text` may be made only when it is wanted. */
export function CopyButton({ text, label, className = 'code-copy' }: { text: string | (() => string); label: string; className?: string }) {
  const { t } = useI18n()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = () => {
    void navigator.clipboard.writeText(typeof text === 'string' ? text : text()).then(() => setCopied(true), () => undefined)
  }
  return (
    <button type="button" className={`button button-small ${className}`} aria-label={label} onClick={copy}>
      {t(copied ? 'empty.copied' : 'empty.copy')}
    </button>
  )
}
