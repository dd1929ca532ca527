import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useState, type SubmitEvent } from 'react'
import { useServerNow } from '@/components/Time'
import { useI18n } from '@/i18n/context'
import { stringifySearch } from '@/routes/search'
import { fromInput, toInput } from './events.model'

const minute = 60_000
const strides = [
  { key: 'events.minutes', ms: 10 * minute },
  { key: 'events.hour', ms: 60 * minute },
] as const

/** Jumps to what had happened by a time, and steps from there. */
export function TimeJump() {
  const i18n = useI18n()
  const { t } = i18n
  const { since, until } = useSearch({ from: '/ui/events' })
  const navigate = useNavigate({ from: '/ui/events' })
  const now = useServerNow()
  const [text, setText] = useState<string | null>(null)
  const at = until === undefined ? null : Date.parse(until)
  const jump = (time: number | null) => {
    setText(null)
    // A time that is not over yet is the present: the list is live again.
    void navigate({ search: (search) => ({ ...search, since: undefined, until: time === null || time >= now ? undefined : new Date(time).toISOString() }) })
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const chosen = fromInput(text ?? '')
    if (chosen !== null) jump(Date.parse(chosen))
  }
  const shown = text ?? (at === null ? '' : toInput(at))
  return (
    <>
      <form className="time-jump" onSubmit={submit}>
        <label>
          <span className="muted">{t('events.jump')}</span>
          <input type="datetime-local" step={1} className="input" value={shown} max={toInput(now)} onChange={(event) => setText(event.target.value)} />
        </label>
        <button type="submit" className="button button-small" disabled={text === null || fromInput(text) === null}>
          {t('events.go')}
        </button>
      </form>
      {strides.map(({ key, ms }) => (
        <button key={`back-${key}`} type="button" className="button button-small" onClick={() => jump((at ?? now) - ms)}>
          −{t(key)}
        </button>
      ))}
      {at !== null && (
        <>
          {[...strides].reverse().map(({ key, ms }) => (
            <button key={`on-${key}`} type="button" className="button button-small" onClick={() => jump(at + ms)}>
              +{t(key)}
            </button>
          ))}
          <button type="button" className="button button-small" onClick={() => jump(null)}>
            {t('events.now')}
          </button>
        </>
      )}
      {(since !== undefined || until !== undefined) && (
        <span className="tag">
          {since !== undefined ? `${i18n.fullTime(Date.parse(since))} – ${at === null ? t('events.now') : i18n.clock(at)}` : at !== null && t('events.upTo', { time: i18n.fullTime(at) })}
        </span>
      )}
      <ClearAll />
    </>
  )
}

function ClearAll() {
  const { t } = useI18n()
  const { follow, ...filters } = useSearch({ from: '/ui/events' })
  if (stringifySearch(filters) === '') return null
  return (
    <Link to="/ui/events" search={{ follow }} activeProps={{ 'aria-current': undefined }}>
      {t('tasks.clear')}
    </Link>
  )
}
