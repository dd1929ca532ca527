import { useEffect, useState } from 'react'
import { useI18n } from '@/i18n/context'

export function CopyButton({ text, label }: { text: string; label: string }) {
  const { t } = useI18n()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => setCopied(true), () => undefined)
  }
  return (
    <button type="button" className="button button-small code-copy" aria-label={label} onClick={copy}>
      {t(copied ? 'empty.copied' : 'empty.copy')}
    </button>
  )
}
