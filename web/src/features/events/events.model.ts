import { compareSeq } from '@/data/events/mapper'
import type { Event, EventFilter } from '@/data/events/types'
import { isFailure } from '@/domain/events'
import type { EventKind, EventsSearch } from '@/routes/search'

const prefixes: Record<Exclude<EventKind, 'failures'>, RegExp> = {
  task: /^task\./,
  worker: /^worker\./,
  pool: /^(pool|system)\./,
  queue: /^queue\./,
}

/** The events the server can choose by itself; it answers 400 to names it does not know. */
const kindEvents: Record<EventKind, string> = {
  task: 'task.submitted,task.rejected,task.duplicate,task.scheduled,task.started,task.progress,task.completed,task.failed,task.reassigned,task.refused,task.cancelled,task.deleted',
  worker: 'worker.created,worker.ready,worker.hung,worker.lost,worker.stopped',
  pool: 'pool.scaled,pool.changed,system.status',
  queue: 'queue.paused,queue.resumed,queue.changed',
  failures: 'task.failed,task.rejected,worker.lost,worker.hung',
}

export function toFilter({ kind, task, worker, since, until }: EventsSearch): EventFilter {
  return { ...(kind && { event: kindEvents[kind] }), ...(task && { task }), ...(worker && { worker }), ...(since && { since }), ...(until && { until }) }
}

export function matchesSearch(event: Event, { kind, task, worker, since, until }: EventsSearch): boolean {
  return (
    (!kind || (kind === 'failures' ? isFailure(event) : prefixes[kind].test(event.event))) &&
    (!task || event.taskId === task) &&
    (!worker || event.workerId === worker) &&
    (!since || event.timestamp >= Date.parse(since)) &&
    (!until || event.timestamp <= Date.parse(until))
  )
}

/** What was read and what came since, newest first, each once. */
export function merged(read: readonly Event[], live: readonly Event[], search: EventsSearch): Event[] {
  const all = new Map<string, Event>()
  for (const event of live) all.set(event.seq, event)
  for (const event of read) all.set(event.seq, event)
  return [...all.values()].filter((event) => matchesSearch(event, search)).sort((a, b) => compareSeq(b.seq, a.seq))
}

/** How many of `events` (newest first) are newer than the one a reader has seen last. */
export function newerThan(events: readonly Event[], seq: string | null): number {
  if (seq === null) return 0
  const seen = events.findIndex((event) => compareSeq(event.seq, seq) <= 0)
  return seen < 0 ? events.length : seen
}
