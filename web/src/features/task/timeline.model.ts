/** The life of a task as phases, from its events. Pure. */
import type { Event } from '@/data/events/types'
import type { TaskDetail, TaskError } from '@/data/tasks/types'

export type PhaseKind = 'waited' | 'ran' | 'backoff'

export interface Phase {
  kind: PhaseKind
  from: number
  to: number
  /** Still going on at `to`. */
  open: boolean
  worker: string | null
  outcome: 'completed' | 'failed' | 'cancelled' | 'reassigned' | null
}

export interface Attempt {
  number: number
  worker: string | null
  startedAt: number
  endedAt: number | null
  error: TaskError | null
  outcome: Phase['outcome']
}

const ends: Record<string, NonNullable<Phase['outcome']>> = {
  'task.completed': 'completed',
  'task.failed': 'failed',
  'task.cancelled': 'cancelled',
  'task.reassigned': 'reassigned',
}

/** Events in the order of their times: a start may be stored before its submission. */
const inOrder = (history: readonly Event[]) => [...history].sort((a, b) => a.timestamp - b.timestamp || rank(a) - rank(b))
const rank = (event: Event) => (event.event === 'task.submitted' ? 0 : 1)

/** Every hand-out of the task, first to last. */
export function attempts(task: TaskDetail): Attempt[] {
  const list: Attempt[] = []
  for (const event of inOrder(task.history)) {
    const current = list[list.length - 1]
    if (event.event === 'task.started') {
      list.push({ number: event.attempt ?? list.length + 1, worker: event.workerId, startedAt: event.timestamp, endedAt: null, error: null, outcome: null })
    } else if (current?.endedAt === null) {
      const outcome = ends[event.event]
      if (outcome) Object.assign(current, { endedAt: event.timestamp, outcome, error: outcome === 'failed' ? errorOf(event) : null })
    }
  }
  const last = list[list.length - 1]
  if (last && last.error === null && last.outcome === 'failed') last.error = task.error
  return list
}

export function phases(task: TaskDetail, now: number): Phase[] {
  const list: Phase[] = []
  let since = task.submittedAt
  let kind: PhaseKind = 'waited'
  for (const attempt of attempts(task)) {
    if (attempt.startedAt > since) list.push({ kind, from: since, to: attempt.startedAt, open: false, worker: null, outcome: null })
    const to = attempt.endedAt ?? Math.max(now, attempt.startedAt)
    list.push({ kind: 'ran', from: attempt.startedAt, to, open: attempt.endedAt === null, worker: attempt.worker, outcome: attempt.outcome })
    since = to
    kind = attempt.outcome === 'failed' ? 'backoff' : 'waited'
  }
  const waits = task.status === 'pending' || task.status === 'scheduled' || task.status === 'retrying'
  if (waits && now > since) list.push({ kind: task.status === 'retrying' ? 'backoff' : 'waited', from: since, to: now, open: true, worker: null, outcome: null })
  return list
}

function errorOf({ data, timestamp, attempt }: Event): TaskError | null {
  const error = data.error
  if (typeof error !== 'object' || error === null || !('message' in error)) return null
  return { message: String(error.message), code: 'code' in error && typeof error.code === 'string' ? error.code : null, attempt, at: timestamp }
}
