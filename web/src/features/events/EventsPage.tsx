import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { ErrorNote } from '@/components/errors'
import { useLive } from '@/data/live/hooks'
import { eventsQuery } from '@/data/events/queries'
import type { Event } from '@/data/events/types'
import { useI18n } from '@/i18n/context'
import { eventKinds } from '@/routes/search'
import { EventsTable } from './EventsTable'
import { merged, newerThan, toFilter } from './events.model'

const nothing: readonly Event[] = []

export function EventsPage() {
  const i18n = useI18n()
  const { t } = i18n
  const search = useSearch({ from: '/ui/events' })
  const { follow, ...filters } = search
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(eventsQuery(toFilter(filters)))
  const live = useLive((picture) => picture.events) ?? nothing
  const key = JSON.stringify(filters)
  const [seen, setSeen] = useState<{ key: string; seq: string | null }>({ key, seq: null })

  const events = useMemo(() => merged(data?.pages.flatMap((page) => page.events) ?? [], live, JSON.parse(key) as typeof filters), [data, live, key])
  // New rows wait above the list until asked for, unless followed or nothing is shown yet.
  const mark = seen.key === key ? seen.seq : null
  if (data && mark === null && events[0]) setSeen({ key, seq: events[0].seq })
  const fresh = follow === '1' ? 0 : newerThan(events, mark)
  const rows = fresh > 0 ? events.slice(fresh) : events
  const subject = search.task ?? search.worker
  return (
    <div className="page events">
      <title>{`${t('nav.events')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.events')}</h1>
      <div className="toolbar">
        <div className="tabs" role="group" aria-label={t('events.event')}>
          {[undefined, ...eventKinds].map((kind) => (
            <Link key={kind ?? 'all'} to="/ui/events" search={(now) => ({ ...now, kind })} className="tab" activeOptions={{ exact: true, includeSearch: true }} activeProps={{}}>
              {t(kind ? `events.kind.${kind}` : 'events.all')}
            </Link>
          ))}
        </div>
        <span className="space" />
        <Link to="/ui/events" search={(now) => ({ ...now, follow: follow ? undefined : '1' })} replace className="toggle" role="button" aria-pressed={follow === '1'} activeProps={{}}>
          {t('events.follow')}
        </Link>
      </div>
      {(subject ?? search.since ?? search.until) !== undefined && (
        <div className="list-line">
          {subject !== undefined && <span className="tag">{t('events.only', { subject })}</span>}
          {search.since !== undefined && (
            <span className="tag">
              {i18n.fullTime(Date.parse(search.since))}
              {search.until !== undefined && ` – ${i18n.clock(Date.parse(search.until))}`}
            </span>
          )}
          <Link to="/ui/events">{t('tasks.clear')}</Link>
        </div>
      )}
      {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {fresh > 0 && (
        <button type="button" className="button button-small button-new" onClick={() => setSeen({ key, seq: events[0]?.seq ?? null })}>
          {t('events.new', { n: fresh })}
        </button>
      )}
      {rows.length > 0 && <EventsTable events={rows} />}
      {data && rows.length === 0 && <p className="empty-line">{t(Object.keys(filters).length > 0 ? 'events.none' : 'events.noneYet')}</p>}
      {!data && !error && rows.length === 0 && <p className="empty-line">{t('common.loading')}</p>}
      {hasNextPage && (
        <button type="button" className="button" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('events.more')}
        </button>
      )}
    </div>
  )
}
