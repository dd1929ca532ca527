/** The life of a task as phases, from its events. Pure. */
import type { Event } from '@/data/events/types'
import type { TaskDetail, TaskError } from '@/data/tasks/types'

/** scheduled: not due yet · waited: due, for a free slot · backoff: until the next attempt · ended: over, until it was run again by hand. */
export type PhaseKind = 'scheduled' | 'waited' | 'ran' | 'backoff' | 'ended'

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
      // Handed out again: whatever became of the one before, it runs no more.
      if (current?.endedAt === null) Object.assign(current, { endedAt: event.timestamp, outcome: 'reassigned' })
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

/** All the time from the submission on, each moment in one phase. */
export function phases(task: TaskDetail, now: number): Phase[] {
  const list: Phase[] = []
  const history = inOrder(task.history)
  let since = task.submittedAt
  const add = (kind: PhaseKind, to: number, more: Partial<Phase> = {}) => {
    if (to > since || kind === 'ran') list.push({ kind, from: since, to, open: false, worker: null, outcome: null, ...more })
    since = Math.max(since, to)
  }
  let last: Attempt | null = null
  const wait = (until: number, open: boolean) => {
    const again = last?.outcome != null && last.outcome !== 'reassigned' ? history.find((event) => event.timestamp >= since && event.timestamp <= until && byHand(event)) : undefined
    if (again) add('ended', again.timestamp)
    const due = dueIn(history, since, until, task, open)
    if (due > since) add(last?.outcome === 'failed' && !again ? 'backoff' : 'scheduled', Math.min(due, until), { open: open && due >= until })
    add('waited', until, { open })
  }
  for (const attempt of attempts(task)) {
    if (attempt.startedAt > since) wait(attempt.startedAt, false)
    since = Math.max(since, attempt.startedAt)
    add('ran', Math.max(attempt.endedAt ?? now, since), { open: attempt.endedAt === null, worker: attempt.worker, outcome: attempt.outcome })
    last = attempt
  }
  const waits = task.status === 'pending' || task.status === 'scheduled' || task.status === 'retrying'
  if (waits && now > since) wait(now, true)
  else if (task.finishedAt !== null && !last) wait(task.finishedAt, false)
  return list
}

/** The event that begins the task again after its end. */
const byHand = ({ event, data }: Event): boolean => event === 'task.scheduled' && data.reason === 'manual'

/** When the task was due within this wait; what is known of a wait that is still open is in its record. */
function dueIn(history: readonly Event[], from: number, to: number, task: TaskDetail, open: boolean): number {
  if (open) return task.status === 'pending' ? from : (task.scheduledFor ?? Infinity)
  const before = history.filter((event) => event.timestamp <= to)
  const said = before.flatMap(({ timestamp, data }) => (timestamp >= from - 1 ? [data.nextAttemptAt, data.scheduledFor, data.dueAt] : []))
  const known = said.flatMap((time) => (typeof time === 'string' ? [Date.parse(time)] : [])).filter((time) => time > from)
  if (known.length > 0) return Math.max(...known)
  const failed = before.findLast((event) => event.event === 'task.failed')
  return failed && failed.timestamp === from ? to : from
}

/** Where the ticks of a scale of this length stand: at round figures, four to eight of them. */
export function ticks(lengthMs: number): number[] {
  if (lengthMs <= 0) return []
  const rough = lengthMs / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const steps = lengthMs > 90_000 ? [1000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000] : [power, 2 * power, 5 * power, 10 * power]
  const step = steps.find((one) => one >= rough) ?? Math.ceil(rough / 86_400_000) * 86_400_000
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, i) => i * step)
}

function errorOf({ data, timestamp, attempt }: Event): TaskError | null {
  const error = data.error
  if (typeof error !== 'object' || error === null || !('message' in error)) return null
  return { message: String(error.message), code: 'code' in error && typeof error.code === 'string' ? error.code : null, attempt, at: timestamp }
}
