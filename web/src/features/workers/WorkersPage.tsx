import { useQuery } from '@tanstack/react-query'
import { Panel } from '@/components/Panel'
import { useServerNow } from '@/components/Time'
import { useLive } from '@/data/live/hooks'
import { endedShownMs } from '@/data/live/model'
import { endedWorkersQuery } from '@/data/workers/queries'
import type { EndedWorker } from '@/data/workers/types'
import { useI18n } from '@/i18n/context'
import { Pools } from './Pools'
import { WorkerTable } from './WorkerTable'

const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id, 'en', { numeric: true })

export function WorkersPage() {
  const { t } = useI18n()
  const workers = useLive((data) => data.workers)
  const ended = useEnded()
  const living = [...(workers?.values() ?? [])].sort(byId)
  return (
    <div className="page workers">
      <title>{`${t('nav.workers')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.workers')}</h1>
      <Panel title={t('pools.title')}>
        <Pools />
      </Panel>
      <Panel title={t('workers.active')}>
        {workers && living.length + ended.length === 0 ? (
          <p className="empty-line">
            {t('workers.none')} {t('workers.noneHint')}
          </p>
        ) : (
          <WorkerTable living={living} ended={ended} />
        )}
      </Panel>
    </div>
  )
}

/** Workers that ended in the last minute: as the server lists them, and those seen to go. */
function useEnded(): EndedWorker[] {
  const now = useServerNow()
  const { data: listed = [] } = useQuery(endedWorkersQuery())
  const seen = useLive((data) => data.ended)
  const living = useLive((data) => data.workers)
  const all = new Map<string, EndedWorker>(seen)
  for (const worker of listed) all.set(worker.id, worker)
  return [...all.values()].filter((worker) => now - worker.endedAt < endedShownMs && !living?.has(worker.id)).sort(byId)
}
