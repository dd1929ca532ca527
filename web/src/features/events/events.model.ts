import type { Event, EventFilter } from '@/data/events/types'
import { compareSeq } from '@/data/events/mapper'
import { failureEvents, isFailure } from '@/domain/events'
import { eventKinds, type EventKind, type EventsSearch } from '@/routes/search'

/** The events the server can choose by itself; it answers 400 to names it does not know. */
const kindEvents: Record<EventKind, string> = {
  failures: failureEvents,
  task: 'task.submitted,task.rejected,task.duplicate,task.scheduled,task.started,task.progress,task.completed,task.failed,task.reassigned,task.refused,task.cancelled,task.deleted',
  worker: 'worker.created,worker.ready,worker.hung,worker.lost,worker.stopped',
  pool: 'pool.scaled,pool.changed',
  queue: 'queue.paused,queue.resumed,queue.changed',
  system: 'system.status',
  audit: 'audit',
}

export const kindsOf = (search: EventsSearch): EventKind[] => eventKinds.filter((kind) => search.kind?.split(',').includes(kind))

/** The kinds after one chip was pressed. */
export function toggled(search: EventsSearch, kind: EventKind): string | undefined {
  const now = kindsOf(search)
  const next = now.includes(kind) ? now.filter((one) => one !== kind) : [...now, kind]
  return next.length === 0 ? undefined : eventKinds.filter((one) => next.includes(one)).join(',')
}

export function toFilter(search: EventsSearch): EventFilter {
  const { task, worker, since, until } = search
  const event = [...new Set(kindsOf(search).flatMap((kind) => kindEvents[kind].split(',')))].join(',')
  return { ...(event && { event }), ...(task && { task }), ...(worker && { worker }), ...(since && { since }), ...(until && { until }) }
}

export function matchesSearch(event: Event, search: EventsSearch): boolean {
  const { task, worker, since, until } = search
  const kinds = kindsOf(search)
  return (
    (kinds.length === 0 || kinds.some((kind) => (kind === 'failures' ? isFailure(event) : kindEvents[kind].split(',').includes(event.event)))) &&
    (!task || event.taskId === task) &&
    (!worker || event.workerId === worker) &&
    (!since || event.timestamp >= Date.parse(since)) &&
    (!until || event.timestamp <= Date.parse(until))
  )
}

/** How many of `events` (newest first) are newer than the one a reader has seen last. */
export function newerThan(events: readonly Event[], seq: string | null): number {
  if (seq === null) return 0
  const seen = events.findIndex((event) => compareSeq(event.seq, seq) <= 0)
  return seen < 0 ? events.length : seen
}

/** What an input of date and time says, as the API takes it; null where it says nothing. */
export function fromInput(value: string): string | null {
  const at = new Date(value)
  return value === '' || Number.isNaN(at.getTime()) ? null : at.toISOString()
}

/** A time as an input of date and time has it: the reader's own clock, to the second. */
export function toInput(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19)
}
