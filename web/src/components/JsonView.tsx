import { memo, useMemo, useState } from 'react'
import { useI18n } from '@/i18n/context'
import { indentJson, rawEntries, type RawEntry } from '@/lib/rawjson'
import { CopyButton } from './CopyButton'

type Opening = 'some' | 'all' | 'none'

/** Entries shown of one object or array before "more" is asked for. */
const shownAtOnce = 100
/** Characters shown of one string. */
const longText = 2000
/** Objects open by themselves down to this depth, as long as they are small. */
const openDepth = 3
const openEntries = 40
/** Beyond this all is not opened at once: that would be a page of megabytes. */
const openAllLength = 300_000

/** JSON as it was written: no digit is lost, since values are shown as text. Objects open and close. */
export function JsonView({ label, text }: { label: string; text: string }) {
  const { t } = useI18n()
  const [opening, setOpening] = useState<Opening>('some')
  const [round, setRound] = useState(0)
  const nested = useMemo(() => (rawEntries(text) ?? []).length > 0, [text])
  const open = (next: Opening) => {
    setOpening(next)
    setRound(round + 1)
  }
  return (
    <div className="json">
      <div className="json-tools">
        {nested && opening !== 'none' && (
          <button type="button" className="button button-small" onClick={() => open('none')} aria-label={`${t('json.collapse')}: ${label}`}>
            {t('json.collapse')}
          </button>
        )}
        {nested && opening !== 'all' && text.length <= openAllLength && (
          <button type="button" className="button button-small" onClick={() => open('all')} aria-label={`${t('json.expand')}: ${label}`}>
            {t('json.expand')}
          </button>
        )}
        <CopyButton text={() => indentJson(text)} label={`${t('empty.copy')}: ${label}`} className="" />
      </div>
      <pre tabIndex={0} aria-label={label}>
        <Value key={round} text={text} depth={0} opening={opening} />
      </pre>
    </div>
  )
}

const Value = memo(function Value({ text, depth, opening }: { text: string; depth: number; opening: Opening }) {
  const entries = useMemo(() => rawEntries(text), [text])
  if (entries === null) return <Plain text={text} />
  const brackets: [string, string] = text.trimStart().startsWith('{') ? ['{', '}'] : ['[', ']']
  if (entries.length === 0) return brackets.join('')
  return <Nested entries={entries} brackets={brackets} depth={depth} opening={opening} />
})

function Plain({ text }: { text: string }) {
  const { t, number } = useI18n()
  const [whole, setWhole] = useState(false)
  const kind = text.startsWith('"') ? 'string' : /^[tfn]/.test(text) ? 'word' : 'number'
  if (text.length <= longText || whole) return <span data-kind={kind}>{text}</span>
  return (
    <span data-kind={kind}>
      {text.slice(0, longText)}
      <button type="button" className="json-more" onClick={() => setWhole(true)}>
        {t('json.moreText', { n: number(text.length - longText) })}
      </button>
    </span>
  )
}

interface NestedProps {
  entries: RawEntry[]
  brackets: [string, string]
  depth: number
  opening: Opening
}

function Nested({ entries, brackets: [first, last], depth, opening }: NestedProps) {
  const { t, number } = useI18n()
  const [open, setOpen] = useState(opening === 'all' || (opening === 'some' && depth < openDepth && (depth === 0 || entries.length <= openEntries)))
  const [shown, setShown] = useState(shownAtOnce)
  const label = t(first === '{' ? 'json.members' : 'json.items', { n: entries.length })
  const toggle = <button type="button" className="json-toggle" aria-expanded={open} aria-label={label} title={label} onClick={() => setOpen(!open)} />
  if (!open) {
    return (
      <>
        {toggle}
        {first}
        <span className="muted json-closed">{` ${label} `}</span>
        {last}
      </>
    )
  }
  const indent = '  '.repeat(depth + 1)
  return (
    <>
      {toggle}
      {first}
      {entries.slice(0, shown).map((entry, i) => (
        <span key={i}>
          {`\n${indent}`}
          {entry.key !== null && <span data-kind="key">{entry.key}</span>}
          {entry.key !== null && ': '}
          <Value text={entry.text} depth={depth + 1} opening={opening} />
          {i < entries.length - 1 && ','}
        </span>
      ))}
      {shown < entries.length && (
        <>
          {`\n${indent}`}
          <button type="button" className="json-more" onClick={() => setShown(shown + 10 * shownAtOnce)}>
            {t('json.moreEntries', { n: number(entries.length - shown) })}
          </button>
        </>
      )}
      {`\n${'  '.repeat(depth)}${last}`}
    </>
  )
}
