import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { useLive } from '@/data/live/hooks'
import { changePool } from '@/data/pools/actions'
import type { Pool } from '@/data/pools/types'
import { useI18n } from '@/i18n/context'
import { PoolSize } from './PoolSize'

/** Size and pause of a pool, for those who may. */
export function PoolActions({ pool }: { pool: Pool }) {
  const { t } = useI18n()
  const { name, paused, queues } = pool
  const [open, setOpen] = useState<'size' | 'pause' | null>(null)
  const workers = useLive((data) => data.workers)
  const pause = useAction({
    run: (value: boolean) => changePool(name, { paused: value }),
    done: (_, value) => t(value ? 'pools.pausedDone' : 'pools.resumedDone', { name }),
  })
  if (!useMay('operate')) return null
  const running = [...(workers?.values() ?? [])].filter((worker) => worker.pool === name).reduce((sum, worker) => sum + worker.assignedTasks, 0)
  return (
    <span className="actions">
      <button type="button" className="button button-small" onClick={() => setOpen('size')}>
        {t('pools.edit')}
      </button>
      <button type="button" className="button button-small" disabled={pause.isPending} onClick={() => (paused ? pause.mutate(false) : setOpen('pause'))}>
        {t(paused ? 'pools.resume' : 'pools.pause')}
      </button>
      {open === 'size' && <PoolSize pool={pool} onClose={() => setOpen(null)} />}
      {open === 'pause' && (
        <Confirm
          title={t('pools.pauseTitle', { name })}
          action={t('pools.pause')}
          onClose={() => setOpen(null)}
          onConfirm={() => {
            setOpen(null)
            pause.mutate(true)
          }}
        >
          <p>{t('pools.pauseBody', { n: running, queues: queues.join(', ') })}</p>
        </Confirm>
      )}
    </span>
  )
}
