/** The one map from a state to its word, colour and icon. */
import type { IconName } from '@/components/Icon'
import type { Key } from '@/i18n/en'
import type { Phase } from '@/data/live/store'
import type { Priority, SystemStatus, TaskStatus, WorkerStatus } from '@/wire/schemas'

export interface State {
  label: Key
  /** A custom property of tokens.css. */
  color: string
  icon: IconName
}

export const taskStates: Record<TaskStatus, State> = {
  scheduled: { label: 'status.scheduled', color: 'var(--violet)', icon: 'clock' },
  pending: { label: 'status.pending', color: 'var(--amber)', icon: 'dots' },
  inProgress: { label: 'status.inProgress', color: 'var(--blue)', icon: 'play' },
  retrying: { label: 'status.retrying', color: 'var(--orange)', icon: 'loop' },
  completed: { label: 'status.completed', color: 'var(--teal)', icon: 'check' },
  failed: { label: 'status.failed', color: 'var(--vermilion)', icon: 'cross' },
  cancelled: { label: 'status.cancelled', color: 'var(--grey)', icon: 'slash' },
}

export const workerStates: Record<WorkerStatus | 'ended', State> = {
  starting: { label: 'worker.starting', color: 'var(--violet)', icon: 'clock' },
  idle: { label: 'worker.idle', color: 'var(--grey)', icon: 'ring' },
  active: { label: 'worker.active', color: 'var(--blue)', icon: 'play' },
  busy: { label: 'worker.busy', color: 'var(--amber)', icon: 'full' },
  draining: { label: 'worker.draining', color: 'var(--orange)', icon: 'drain' },
  hung: { label: 'worker.hung', color: 'var(--vermilion)', icon: 'warning' },
  ended: { label: 'worker.ended', color: 'var(--grey)', icon: 'slash' },
}

export const systemStates: Record<SystemStatus, State> = {
  Stable: { label: 'system.Stable', color: 'var(--teal)', icon: 'check' },
  'High Load': { label: 'system.High Load', color: 'var(--amber)', icon: 'gauge' },
  Recovering: { label: 'system.Recovering', color: 'var(--orange)', icon: 'loop' },
}

export const phaseStates: Record<Phase | 'paused', State> = {
  connecting: { label: 'live.connecting', color: 'var(--grey)', icon: 'dots' },
  live: { label: 'live.live', color: 'var(--teal)', icon: 'signal' },
  paused: { label: 'live.paused', color: 'var(--violet)', icon: 'pause' },
  stale: { label: 'live.stale', color: 'var(--amber)', icon: 'clock' },
  disconnected: { label: 'live.disconnected', color: 'var(--vermilion)', icon: 'plug' },
}

export const priorityLabels: Record<Priority, Key> = {
  critical: 'priority.critical',
  high: 'priority.high',
  medium: 'priority.medium',
  low: 'priority.low',
}

/** From urgent to patient, in one order of warmth; the word always stands beside. */
export const priorityColors: Record<Priority, string> = {
  critical: 'var(--vermilion)',
  high: 'var(--orange)',
  medium: 'var(--amber)',
  low: 'var(--grey)',
}

/** A task in one of these still changes by itself. */
export const isOpen = (status: TaskStatus): boolean => status !== 'completed' && status !== 'failed' && status !== 'cancelled'

const eventStates: Record<string, { color: string; icon: IconName }> = {
  'task.scheduled': taskStates.scheduled,
  'task.submitted': taskStates.pending,
  'task.started': taskStates.inProgress,
  'task.progress': taskStates.inProgress,
  'task.completed': taskStates.completed,
  'task.failed': taskStates.failed,
  'task.rejected': taskStates.failed,
  'task.reassigned': taskStates.retrying,
  'task.cancelled': taskStates.cancelled,
  'worker.created': workerStates.starting,
  'worker.ready': workerStates.active,
  'worker.hung': workerStates.hung,
  'worker.lost': workerStates.hung,
  'worker.stopped': workerStates.ended,
  'pool.scaled': { color: 'var(--violet)', icon: 'scale' },
  'queue.paused': phaseStates.paused,
}

const plain = { color: 'var(--grey)', icon: 'dot' } as const

/** How an event is marked; a failed attempt that will be retried shows as a retry. */
export function eventState(event: string, data: Record<string, unknown>): { color: string; icon: IconName } {
  if (event === 'task.failed' && data.final !== true) return taskStates.retrying
  return eventStates[event] ?? plain
}
