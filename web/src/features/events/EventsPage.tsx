import { useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { ErrorNote } from '@/components/errors'
import { useHistory } from '@/data/events/useHistory'
import { useI18n } from '@/i18n/context'
import { useNarrow } from '@/lib/media'
import { EventFilters, Subjects } from './EventFilters'
import { EventsTable } from './EventsTable'
import { TimeJump } from './TimeJump'
import { matchesSearch, newerThan, toFilter } from './events.model'

export function EventsPage() {
  const { t } = useI18n()
  const { follow, ...search } = useSearch({ from: '/ui/events' })
  // With the failures among the kinds, two searches may ask the server for the same events.
  const key = JSON.stringify(search)
  return (
    <div className="page events">
      <title>{`${t('nav.events')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.events')}</h1>
      <EventFilters />
      <More />
      <History key={key} follow={follow === '1'} />
    </div>
  )
}

/** By task, by worker, by time: on a phone behind a word, unless something of it is set. */
function More() {
  const { t } = useI18n()
  const narrow = useNarrow()
  const { task, worker, since, until } = useSearch({ from: '/ui/events' })
  const parts = (
    <div className="list-line event-more">
      <Subjects />
      <TimeJump />
    </div>
  )
  if (!narrow) return parts
  return (
    <details className="more" open={(task ?? worker ?? since ?? until) !== undefined}>
      <summary>{t('events.narrow')}</summary>
      {parts}
    </details>
  )
}

function History({ follow }: { follow: boolean }) {
  const { t } = useI18n()
  const search = useSearch({ from: '/ui/events' })
  const { events, older, error, readOlder } = useHistory(toFilter(search), (event) => matchesSearch(event, search))
  const [seen, setSeen] = useState<string | null>(null)
  // New rows wait above the list until asked for, unless followed or nothing is shown yet.
  if (seen === null && events[0]) setSeen(events[0].seq)
  const fresh = follow ? 0 : newerThan(events, seen)
  const rows = fresh > 0 ? events.slice(fresh) : events
  const filtered = Object.keys(search).some((name) => name !== 'follow')
  return (
    <>
      {error !== null && <ErrorNote error={error} onRetry={readOlder} />}
      {fresh > 0 && (
        <div className="new-pill">
          <button type="button" className="button button-small button-new" onClick={() => setSeen(events[0]?.seq ?? null)}>
            {t('events.new', { n: fresh })}
          </button>
        </div>
      )}
      {rows.length > 0 && <EventsTable events={rows} more={older === 'more'} onEnd={readOlder} />}
      {rows.length === 0 && (older === 'none' || older === 'more') && <p className="empty-line">{t(filtered ? 'events.none' : 'events.noneYet')}</p>}
      {older === 'reading' && <p className="empty-line">{t(rows.length === 0 ? 'common.loading' : 'events.readingOlder')}</p>}
      {older === 'none' && rows.length > 0 && <p className="empty-line">{t('events.end')}</p>}
    </>
  )
}
