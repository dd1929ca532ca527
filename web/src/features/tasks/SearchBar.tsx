import { useState, type SubmitEvent } from 'react'
import { Icon } from '@/components/Icon'
import type { TaskFilter } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'
import { formatQuery, parseQuery } from './query.model'

export function SearchBar({ filter, onChange }: { filter: TaskFilter; onChange: (filter: TaskFilter) => void }) {
  const query = formatQuery(filter)
  // Keyed, so that a filter set elsewhere (back, a link) replaces what was typed.
  return <Field key={query} query={query} status={filter.status} onChange={onChange} />
}

function Field({ query, status, onChange }: { query: string; status: string | undefined; onChange: (filter: TaskFilter) => void }) {
  const { t } = useI18n()
  const [text, setText] = useState(query)
  const { filter, unknown } = parseQuery(text)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (unknown.length === 0) onChange({ ...filter, status: filter.status ?? status })
  }
  return (
    <form className="search" role="search" onSubmit={submit}>
      <Icon name="search" />
      <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder={t('tasks.searchHint')} aria-label={t('tasks.search')} aria-invalid={unknown.length > 0} spellCheck={false} autoCapitalize="off" />
      {unknown[0] !== undefined && <span className="search-fault" role="alert">{t('tasks.unknownFilter', { name: unknown[0] })}</span>}
    </form>
  )
}
