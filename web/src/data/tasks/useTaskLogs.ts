import { useQuery, type QueryClient } from '@tanstack/react-query'
import { instant } from '@/lib/time'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { taskKeys } from './queries'
import type { LogLine } from './types'

interface TaskLogs {
  /** Lines of full pages, which do not change any more. */
  settled: readonly LogLine[]
  /** Lines of the last page, which may grow. */
  tail: readonly LogLine[]
  /** Where the last page begins. */
  cursor: string
  /** There is more than is read at once. */
  more: boolean
}

const pageSize = 500
/** Pages read in one go: a task that logs a million lines does not hold the page up. */
const pagesAtOnce = 10
const refreshEveryMs = 1000

/** The log of a task; with `live` what is new is read every second, and only that. */
export const useTaskLogs = (id: string, live: boolean) =>
  useQuery({
    queryKey: taskKeys.logs(id),
    queryFn: ({ signal, client }) => readOn(id, client, signal),
    refetchInterval: live ? refreshEveryMs : false,
    structuralSharing: false,
  })

async function readOn(id: string, client: QueryClient, signal: AbortSignal): Promise<TaskLogs> {
  const path = `/tasks/${encodeURIComponent(id)}/logs`
  const known = client.getQueryData<TaskLogs>(taskKeys.logs(id))
  let cursor = known?.cursor ?? ''
  let settled = known?.settled ?? []
  for (let page = 1; ; page++) {
    const { logs, nextCursor } = await request(path, json(wire.LogPage, path), { query: { limit: pageSize, cursor }, signal })
    const lines = logs.map((line) => ({ ...line, at: instant(line.at) }))
    if (nextCursor === null) return sameAsBefore(known, { settled, tail: lines, cursor, more: false })
    settled = [...settled, ...lines]
    cursor = nextCursor
    if (page === pagesAtOnce) return { settled, tail: [], cursor, more: true }
  }
}

/** The same object where nothing was logged, so that nothing is drawn again. */
const sameAsBefore = (known: TaskLogs | undefined, now: TaskLogs): TaskLogs => (known && !known.more && known.cursor === now.cursor && known.tail.length === now.tail.length ? known : now)
