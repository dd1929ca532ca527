import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'
import { Icon } from '@/components/Icon'
import { liveSocket, liveStore, useConnection, useLive, usePaused } from '@/data/live/hooks'
import type { Missed } from '@/data/live/store'
import { phaseStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { age } from '@/lib/format'
import { useNow } from '@/lib/now'

const caughtUpShownMs = 10_000

/** Says when the figures cannot be trusted, and what was missed once they can again. */
export function ConnectionBanner() {
  const { phase, caughtUp } = useConnection()
  const paused = usePaused()
  if (phase === 'disconnected') return <Disconnected />
  if (phase === 'stale') return <Stale />
  if (paused) return <Paused />
  return caughtUp ? <CaughtUp {...caughtUp} /> : null
}

function Disconnected() {
  const i18n = useI18n()
  const now = useNow()
  const { retryAt, fault } = useConnection()
  const updatedAt = useLive((data) => data.stats.updatedAt)
  const seconds = retryAt === null ? 0 : Math.ceil((retryAt - now) / 1000)
  return (
    <div className="banner" data-kind="disconnected" role="alert">
      <Icon name="plug" style={{ color: phaseStates.disconnected.color }} />
      <span>
        {updatedAt === undefined ? i18n.t('live.noServer') : i18n.t('live.disconnectedBanner', { time: i18n.clock(updatedAt) })}{' '}
        {fault && <>{i18n.t('live.fault', { fault })} </>}
        <span className="muted">{seconds > 0 ? i18n.t('live.retryIn', { seconds }) : i18n.t('live.retrying')}</span>
      </span>
      <button type="button" className="button button-small" onClick={liveSocket.now}>
        {i18n.t('live.retryNow')}
      </button>
    </div>
  )
}

function Stale() {
  const { t } = useI18n()
  const now = useNow()
  const { lastMessageAt } = useConnection()
  return (
    <div className="banner" data-kind="stale" role="alert">
      <Icon name="clock" style={{ color: phaseStates.stale.color }} />
      <span>{t('live.staleBanner', { age: age(now - (lastMessageAt ?? now)) })}</span>
    </div>
  )
}

function Paused() {
  const i18n = useI18n()
  const updatedAt = useLive((data) => data.stats.updatedAt)
  return (
    <div className="banner" data-kind="paused" role="status">
      <Icon name="pause" style={{ color: phaseStates.paused.color }} />
      <span>{i18n.t('live.pausedBanner', { time: updatedAt === undefined ? i18n.t('common.dash') : i18n.clock(updatedAt) })}</span>
      <button type="button" className="button button-small" onClick={() => liveStore.pause(false)}>
        {i18n.t('live.resumeNow')}
      </button>
    </div>
  )
}

function CaughtUp({ lostAt, afterMs, events, failures, more }: Missed) {
  const { t } = useI18n()
  useEffect(() => {
    const timer = setTimeout(() => liveStore.dismissCaughtUp(), caughtUpShownMs)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div className="banner" data-kind="caught-up" role="status">
      <Icon name="signal" style={{ color: phaseStates.live.color }} />
      <span>
        {t(more ? 'live.caughtUpMore' : 'live.caughtUp', { age: age(afterMs), events })}{' '}
        {failures > 0 && (
          <Link to="/ui/events" search={{ kind: 'failures' }}>
            {t('live.missedFailures', { n: failures })}
          </Link>
        )}
      </span>
      <Link to="/ui/events" search={{ since: new Date(lostAt).toISOString() }} className="button button-small">
        {t('live.seeEvents')}
      </Link>
      <button type="button" className="button button-plain" aria-label={t('live.dismiss')} onClick={() => liveStore.dismissCaughtUp()}>
        <Icon name="cross" size={11} />
      </button>
    </div>
  )
}
