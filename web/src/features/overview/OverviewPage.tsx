import { Link } from '@tanstack/react-router'
import { EventRow } from '@/components/EventRow'
import { NoTasks } from '@/components/NoTasks'
import { Panel } from '@/components/Panel'
import { useServerNow } from '@/components/Time'
import { useLive, useLiveState } from '@/data/live/hooks'
import { isFailure } from '@/domain/events'
import { useI18n } from '@/i18n/context'
import { useNarrow } from '@/lib/media'
import { Charts } from './Charts'
import { Figures } from './Figures'
import { SystemLine } from './SystemLine'

const shownEvents = 12
const shownFailures = 3
const recentMs = 15 * 60_000

/** Is it healthy, and is it keeping up: answered without scrolling. */
export function OverviewPage() {
  const { t } = useI18n()
  const connected = useLiveState((state) => state.data !== null)
  const total = useLive((data) => data.stats.tasks.total)
  const narrow = useNarrow() // On a phone what is wrong comes before the charts.
  return (
    <div className="page overview">
      <title>{`${t('nav.overview')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.overview')}</h1>
      {connected ? (
        <>
          <SystemLine />
          <Figures />
          {narrow && <Failures />}
          {total === 0 ? <NoTasks /> : <Charts />}
          {!narrow && <Failures />}
          <LatestEvents />
        </>
      ) : (
        <p className="empty-line">{t('common.loading')}</p>
      )}
    </div>
  )
}

/** What failed or was lost in the last quarter of an hour. */
function Failures() {
  const { t } = useI18n()
  const now = useServerNow()
  const events = useLive((data) => data.events) ?? []
  const failures = events.filter((event) => isFailure(event) && now - event.timestamp < recentMs).slice(0, shownFailures)
  if (failures.length === 0) return null
  return (
    <Panel title={t('overview.failures')} aside={<Link to="/ui/events" search={{ kind: 'failures' }}>{t('overview.allFailures')}</Link>}>
      <EventTable label={t('overview.failures')} events={failures} />
    </Panel>
  )
}

function LatestEvents() {
  const { t } = useI18n()
  const events = useLive((data) => data.events) ?? []
  const latest = events.filter((event) => event.event !== 'task.progress').slice(0, shownEvents)
  return (
    <Panel title={t('overview.events')} aside={<Link to="/ui/events">{t('overview.all')}</Link>}>
      {latest.length === 0 ? <p className="empty-line">{t('events.noneYet')}</p> : <EventTable label={t('overview.events')} events={latest} />}
    </Panel>
  )
}

function EventTable({ label, events }: { label: string; events: Parameters<typeof EventRow>[0]['event'][] }) {
  return (
    <div className="event-list" role="table" aria-label={label}>
      {events.map((event) => (
        <div key={event.seq} className="event-row" role="row">
          <EventRow event={event} />
        </div>
      ))}
    </div>
  )
}
