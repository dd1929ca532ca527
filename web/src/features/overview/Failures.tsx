import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Panel } from '@/components/Panel'
import { useServerNow } from '@/components/Time'
import { mergeEvents } from '@/data/live/model'
import { useLive } from '@/data/live/hooks'
import { eventsQuery } from '@/data/events/queries'
import { isUnseen, markSeen, useSeen } from '@/data/events/seen'
import { failureEvents, isFailure } from '@/domain/events'
import { useI18n } from '@/i18n/context'
import { EventList } from './EventList'

const most = 4
const recentMs = 24 * 3_600_000

/** What failed, was lost or hung and nobody has looked at yet: it stays until it is seen. */
export function Failures() {
  const { t } = useI18n()
  const now = useServerNow()
  const seen = useSeen()
  const live = useLive((data) => data.failures) ?? []
  const { data } = useInfiniteQuery({ ...eventsQuery({ event: failureEvents }), staleTime: Infinity })
  const earlier = data?.pages[0]?.events.filter(isFailure) ?? []
  const unseen = mergeEvents(earlier, [...live]).filter((event) => isUnseen(event.seq, seen) && now - event.timestamp < recentMs)
  const newest = unseen[0]
  if (!newest) return null
  return (
    <Panel
      title={t('overview.failures')}
      aside={
        <>
          <span className="muted">{t('overview.newFailures', { n: unseen.length })}</span>
          <Link to="/ui/events" search={{ kind: 'failures' }}>
            {t('overview.allFailures')}
          </Link>
          <button type="button" className="button button-small" onClick={() => markSeen(newest.seq)}>
            {t('overview.seen')}
          </button>
        </>
      }
    >
      <EventList label={t('overview.failures')} events={unseen.slice(0, most)} />
    </Panel>
  )
}
