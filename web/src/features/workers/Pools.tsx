import { Link } from '@tanstack/react-router'
import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import type { Pool } from '@/data/pools/types'
import { sayReason } from '@/domain/reasons'
import { phaseStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { PoolActions } from './PoolActions'

export function Pools() {
  const { t } = useI18n()
  const pools = useLive((data) => data.pools)
  const list = [...(pools?.values() ?? [])].sort((a, b) => a.name.localeCompare(b.name))
  if (list.length === 0) return <p className="empty-line">{t(pools ? 'pools.none' : 'common.loading')}</p>
  return (
    <ul className="pools">
      {list.map((pool) => (
        <Row key={pool.name} pool={pool} />
      ))}
    </ul>
  )
}

function Row({ pool }: { pool: Pool }) {
  const i18n = useI18n()
  const { t } = i18n
  const { name, min, max, running, queues, paused, reason } = pool
  const desired = pool.desired ?? running
  return (
    <li data-testid={`pool-${name}`}>
      <span className="pool-name">
        <b>{name}</b>
        {paused && <StateBadge state={{ ...phaseStates.paused, label: 'pools.paused' }} />}
      </span>
      <Gauge {...{ min, max, running, desired }} />
      <span className="pool-range">{t('pools.range', { running, desired, min, max })}</span>
      <span className="pool-why">
        {reason && (
          <Link to="/ui/events" search={{ kind: 'pool' }} title={t('pools.reason')}>
            {sayReason(reason, i18n)}
          </Link>
        )}
        {queues.length > 0 && (
          <Link to="/ui/queues" className="muted">
            {t('pools.serves', { queues: queues.join(', ') })}
          </Link>
        )}
      </span>
      <PoolActions pool={pool} />
    </li>
  )
}

/** Running as the bar, the minimum as a notch, what is desired as the needle; the track ends at the maximum. */
function Gauge({ min, max, running, desired }: { min: number; max: number; running: number; desired: number }) {
  const { t } = useI18n()
  const part = (n: number) => `${(Math.min(n, max) / Math.max(1, max)) * 100}%`
  return (
    <span className="pool-gauge" role="img" aria-label={t('pools.gauge', { min, max, running, desired })} title={t('pools.gauge', { min, max, running, desired })}>
      <i style={{ width: part(running) }} />
      <em className="pool-min" style={{ left: part(min) }} />
      <em className="pool-desired" style={{ left: part(desired) }} />
    </span>
  )
}
