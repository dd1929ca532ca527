import { useQuery } from '@tanstack/react-query'
import { useId, useRef, useState, type KeyboardEvent, type SubmitEvent } from 'react'
import { Icon } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import { taskFacetsQuery } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { useI18n, type I18n } from '@/i18n/context'
import { formatQuery, isName, parseQuery, type Fault } from './query.model'
import { put, suggest, wordAt, type Sources, type Suggestion } from './suggest.model'
import { Suggestions } from './Suggestions'

interface SearchBarProps {
  filter: TaskFilter
  /** Tags of the tasks at hand, to offer. */
  tags: () => Sources['tags']
  onChange: (filter: TaskFilter) => void
}

export function SearchBar(props: SearchBarProps) {
  // Keyed, so that a filter set elsewhere (back, a link) replaces what was typed.
  return <Field key={formatQuery(props.filter)} {...props} />
}

/** A text with suggestions for the word at the cursor. Enter searches, or takes the suggestion that is marked. */
function Field({ filter, tags, onChange }: SearchBarProps) {
  const i18n = useI18n()
  const { t } = i18n
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  const [text, setText] = useState(() => formatQuery(filter))
  const [cursor, setCursor] = useState(text.length)
  const [open, setOpen] = useState(false)
  const [marked, setMarked] = useState(-1)
  const word = wordAt(text, cursor)
  const sources = useSources(text, word.text, tags, open)
  const offered = open ? suggest(word.text, sources) : []
  const { faults } = parseQuery(text)
  // A word that is still being written is no fault yet.
  const fault = open ? faults.find((one) => one.kind === 'name') : faults[0]

  const type = (next: string, at: number) => {
    setText(next)
    setCursor(at)
    setMarked(-1)
    setOpen(true)
  }
  const search = (query: string) => {
    const parsed = parseQuery(query)
    setOpen(false)
    if (parsed.faults.length === 0) onChange(parsed.filter)
  }
  const choose = (suggestion: Suggestion) => {
    const next = put(text, word, suggestion.word)
    type(next.text, next.cursor)
    requestAnimationFrame(() => input.current?.setSelectionRange(next.cursor, next.cursor))
    if (!/[:=]$/.test(suggestion.word)) search(next.text)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && open) {
      event.preventDefault()
      setOpen(false)
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      if (open) setMarked(stepped(marked, event.key === 'ArrowDown' ? 1 : -1, offered.length))
      else setOpen(true)
    } else if ((event.key === 'Enter' || (event.key === 'Tab' && !event.shiftKey)) && offered[marked]) {
      event.preventDefault()
      choose(offered[marked])
    }
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    search(text)
  }
  return (
    <form className="search" role="search" onSubmit={submit}>
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        role="combobox"
        aria-expanded={offered.length > 0}
        aria-controls={id}
        aria-autocomplete="list"
        aria-activedescendant={offered[marked] ? `${id}-${marked}` : undefined}
        aria-label={t('tasks.search')}
        aria-invalid={fault !== undefined}
        data-shortcut="search"
        value={text}
        placeholder={t('tasks.searchHint')}
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        onChange={(event) => type(event.target.value, event.target.selectionStart ?? event.target.value.length)}
        onSelect={(event) => setCursor(event.currentTarget.selectionStart ?? text.length)}
        onFocus={() => setOpen(true)}
        onClick={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      {fault && <span className="search-fault" role="alert">{faultText(fault, i18n)}</span>}
      {offered.length > 0 && <Suggestions id={id} offered={offered} marked={marked} onChoose={choose} />}
    </form>
  )
}

/** From the text (-1) through the suggestions and round to the text again. */
function stepped(marked: number, step: number, length: number): number {
  const next = (marked + 1 + step + length + 1) % (length + 1)
  return next - 1
}

/** Counts are of the tasks that match the other words, so that each says what choosing it would find. */
function useSources(text: string, word: string, tags: () => Sources['tags'], open: boolean): Sources {
  const name = word.slice(0, Math.max(0, word.indexOf(':')))
  const { filter } = parseQuery(text)
  const { q: _, ...named } = filter
  const others = isName(name) ? { ...named, [name]: undefined } : named
  const { data } = useQuery({ ...taskFacetsQuery(others), enabled: open, placeholderData: (before) => before })
  const workers = useLive((picture) => picture.workers)
  const queues = useLive((picture) => picture.queues)
  return { facets: data ?? {}, tags: name === 'tag' ? tags() : new Map(), workers: [...(workers?.keys() ?? [])], queues: [...(queues?.keys() ?? [])] }
}

function faultText(fault: Fault, { t }: I18n): string {
  if (fault.kind === 'name') return t('tasks.unknownFilter', { name: fault.name })
  if (fault.kind === 'tag') return t('tasks.badTag')
  return t('tasks.badValue', { name: fault.name, value: fault.value })
}
