import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useId, useState, type SubmitEvent } from 'react'
import { Icon } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import { useI18n } from '@/i18n/context'
import { eventKinds } from '@/routes/search'
import { kindsOf, toggled } from './events.model'

/** Chips for the kinds; what is chosen is in the address. */
export function EventFilters() {
  const { t } = useI18n()
  const search = useSearch({ from: '/ui/events' })
  const kinds = kindsOf(search)
  const { follow } = search
  return (
    <div className="toolbar">
      <div className="chips" role="group" aria-label={t('events.kinds')}>
        <Link to="/ui/events" search={(now) => ({ ...now, kind: undefined })} className="chip" role="button" aria-pressed={kinds.length === 0} activeProps={{ 'aria-current': undefined }}>
          {t('events.all')}
        </Link>
        {eventKinds.map((kind) => (
          <Link
            key={kind}
            to="/ui/events"
            search={(now) => ({ ...now, kind: toggled(search, kind) })}
            className="chip"
            role="button"
            aria-pressed={kinds.includes(kind)}
            activeProps={{ 'aria-current': undefined }}
          >
            {t(`events.kind.${kind}`)}
          </Link>
        ))}
      </div>
      <span className="space" />
      <Link to="/ui/events" search={(now) => ({ ...now, follow: follow ? undefined : '1' })} replace className="toggle" role="button" aria-pressed={follow === '1'} activeProps={{ 'aria-current': undefined }}>
        {t('events.follow')}
      </Link>
    </div>
  )
}

/** Inputs for a task and a worker. */
export function Subjects() {
  const { task = '', worker = '' } = useSearch({ from: '/ui/events' })
  return (
    <>
      <Subject key={`task-${task}`} name="task" value={task} />
      <Subject key={`worker-${worker}`} name="worker" value={worker} />
    </>
  )
}

/** The events of one task or worker, by its id. */
function Subject({ name, value }: { name: 'task' | 'worker'; value: string }) {
  const { t } = useI18n()
  const navigate = useNavigate({ from: '/ui/events' })
  const list = useId()
  const [text, setText] = useState(value)
  const workers = useLive((data) => data.workers)
  const suggestions = name === 'worker' ? [...(workers?.keys() ?? [])] : []
  const choose = (id: string) => void navigate({ search: (now) => ({ ...now, [name]: id.trim() === '' ? undefined : id.trim() }) })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    choose(text)
  }
  return (
    <form className="subject" role="search" onSubmit={submit}>
      <input
        className="input"
        list={name === 'worker' ? list : undefined}
        aria-label={t(`events.${name}`)}
        placeholder={t(`events.${name}`)}
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          if (suggestions.includes(event.target.value)) choose(event.target.value)
        }}
      />
      {name === 'worker' && (
        <datalist id={list}>
          {suggestions.map((id) => (
            <option key={id} value={id} />
          ))}
        </datalist>
      )}
      {value !== '' && (
        <button type="button" className="button button-plain" aria-label={t(`events.${name}Clear`)} onClick={() => choose('')}>
          <Icon name="cross" size={11} />
        </button>
      )}
    </form>
  )
}
