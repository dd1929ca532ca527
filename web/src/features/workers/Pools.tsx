import { Link } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import type { Pool } from '@/data/pools/types'
import { phaseStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'

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
  const { t } = useI18n()
  const { name, min, max, running, queues, paused, reason } = pool
  const desired = pool.desired ?? running
  const part = (n: number) => `${(Math.min(n, max) / Math.max(1, max)) * 100}%`
  return (
    <li>
      <b>{name}</b>
      <span className="pool-gauge" aria-hidden="true">
        <i style={{ width: part(running) }} />
        <em style={{ left: part(min) }} />
        <em className="pool-desired" style={{ left: part(desired) }} />
      </span>
      <span>{t('pools.range', { running, desired, min, max })}</span>
      {paused && (
        <span className="state">
          <Icon name="pause" style={{ color: phaseStates.paused.color }} />
          {t('pools.paused')}
        </span>
      )}
      {queues.length > 0 && (
        <Link to="/ui/queues" className="muted">
          {t('pools.serves', { queues: queues.join(', ') })}
        </Link>
      )}
      {reason && <span className="muted pool-reason">{reason}</span>}
    </li>
  )
}
