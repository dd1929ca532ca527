import { Link } from '@tanstack/react-router'
import { NoTasks } from '@/components/NoTasks'
import { Panel } from '@/components/Panel'
import { useLive, useLiveState } from '@/data/live/hooks'
import { useI18n } from '@/i18n/context'
import { useNarrow } from '@/lib/media'
import { Charts } from './Charts'
import { EventList } from './EventList'
import { Failures } from './Failures'
import { Figures } from './Figures'
import { SystemLine } from './SystemLine'

const shownEvents = 12

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

function LatestEvents() {
  const { t } = useI18n()
  const events = useLive((data) => data.events) ?? []
  const latest = events.filter((event) => event.event !== 'task.progress').slice(0, shownEvents)
  return (
    <Panel title={t('overview.events')} aside={<Link to="/ui/events">{t('overview.all')}</Link>}>
      {latest.length === 0 ? <p className="empty-line">{t('events.noneYet')}</p> : <EventList label={t('overview.events')} events={latest} />}
    </Panel>
  )
}
