import { useQuery } from '@tanstack/react-query'
import { useServerNow } from '@/components/Time'
import { useLive } from '@/data/live/hooks'
import { endedShownMs } from '@/data/live/model'
import { endedWorkersQuery } from '@/data/workers/queries'
import type { EndedWorker } from '@/data/workers/types'

export const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id, 'en', { numeric: true })

/** Workers that ended in the last minute: as the server lists them, and those seen to go. */
export function useEnded(): EndedWorker[] {
  const now = useServerNow()
  const { data: listed = [] } = useQuery(endedWorkersQuery())
  const seen = useLive((data) => data.ended)
  const living = useLive((data) => data.workers)
  const all = new Map<string, EndedWorker>(seen)
  for (const worker of listed) all.set(worker.id, worker)
  return [...all.values()].filter((worker) => now - worker.endedAt < endedShownMs && !living?.has(worker.id)).sort(byId)
}
