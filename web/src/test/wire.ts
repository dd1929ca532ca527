/** Wire objects as the API sends them: every field present, null where unknown. */
import type { z } from 'zod'
import type * as wire from '@/wire/schemas'

export type TaskJson = z.input<typeof wire.Task>
export type TaskDetailJson = z.input<typeof wire.TaskDetail>
export type EventJson = z.input<typeof wire.Event>
export type WorkerJson = z.input<typeof wire.Worker>
export type EndedWorkerJson = z.input<typeof wire.EndedWorker>
export type PoolJson = z.input<typeof wire.Pool>
export type QueueJson = z.input<typeof wire.Queue>
export type StatsJson = z.input<typeof wire.Stats>
export type SeriesJson = z.input<typeof wire.Series>
export type SnapshotJson = z.input<typeof wire.Snapshot>
export type DeltaJson = z.input<typeof wire.Delta>

export const epoch = Date.parse('2026-01-01T10:21:02.000Z')
export const iso = (at: number): string => new Date(at).toISOString()

export const taskJson = (part: Partial<TaskJson> = {}): TaskJson => ({
  id: 'task-104',
  type: 'image.resize',
  queue: 'default',
  priority: 'medium',
  status: 'pending',
  attempt: 1,
  retries: 0,
  maxRetries: 3,
  backoff: { policy: 'exponential', baseMs: 1000, maxMs: 60000, jitter: 0.2 },
  timeoutMs: 3_600_000,
  deadline: null,
  retentionMs: 86_400_000,
  tags: {},
  fence: 0,
  error: null,
  progress: null,
  worker: null,
  pool: null,
  submittedAt: iso(epoch),
  scheduledFor: null,
  startedAt: null,
  finishedAt: null,
  waitTimeMs: null,
  executionTimeMs: null,
  ...part,
})

export const eventJson = (part: Partial<EventJson> = {}): EventJson => ({
  seq: '1.0',
  timestamp: iso(epoch),
  event: 'task.submitted',
  description: 'task-104 of type image.resize submitted',
  taskId: 'task-104',
  workerId: null,
  pool: null,
  attempt: 1,
  data: { task: { type: 'image.resize' } },
  ...part,
})

export const workerJson = (part: Partial<WorkerJson> = {}): WorkerJson => ({
  id: 'worker-1',
  pool: 'default',
  host: 'host-a',
  pid: 4211,
  status: 'active',
  cpuPercent: 12.4,
  memoryMb: 150.2,
  assignedTasks: 3,
  concurrency: 4,
  completed: 73,
  failed: 1,
  startedAt: iso(epoch - 600_000),
  lastHeartbeat: iso(epoch - 800),
  lastHeartbeatAgoMs: 800,
  tasks: ['task-104', 'task-105', 'task-106'],
  ...part,
})

export const poolJson = (part: Partial<PoolJson> = {}): PoolJson => ({
  name: 'default',
  min: 1,
  max: 6,
  desired: 6,
  running: 6,
  queues: ['default'],
  paused: false,
  reason: '12 waiting and 8 running at 1.2s a task; the maximum is 6',
  instances: [{ id: 'pool-1', host: 'host-a', pid: 4200 }],
  ...part,
})

export const queueJson = (part: Partial<QueueJson> = {}): QueueJson => ({
  name: 'default',
  depth: { critical: 0, high: 2, medium: 7, low: 3 },
  oldestWaitMs: 840,
  rateIn: 4.2,
  rateOut: 4,
  servedBy: ['default'],
  paused: false,
  maxConcurrent: null,
  ratePerSecond: null,
  types: {},
  ...part,
})

export const statsJson = (part: Partial<StatsJson> = {}): StatsJson => ({
  systemStatus: 'Stable',
  reason: 'all is well',
  workers: { active: 5, idle: 1 },
  tasks: { pending: 12, inProgress: 8, completed: 73, failed: 3, scheduled: 0, retrying: 0, cancelled: 0, total: 96 },
  averageExecutionTimeMs: 1175,
  throughputPerMinute: 240,
  queueLatencyMs: { p50: 2, p99: 11 },
  uptime: '02:34:55',
  updatedAt: iso(epoch),
  ...part,
})

export const emptyStatsJson = (part: Partial<StatsJson> = {}): StatsJson =>
  statsJson({
    workers: { active: 0, idle: 1 },
    tasks: { pending: 0, inProgress: 0, completed: 0, failed: 0, scheduled: 0, retrying: 0, cancelled: 0, total: 0 },
    averageExecutionTimeMs: null,
    throughputPerMinute: 0,
    queueLatencyMs: { p50: null, p99: null },
    uptime: '00:00:12',
    ...part,
  })

export const snapshotJson = (part: Partial<SnapshotJson> = {}): SnapshotJson => ({
  type: 'snapshot',
  seq: 1,
  at: iso(epoch),
  stats: statsJson(),
  workers: [workerJson()],
  pools: [poolJson()],
  queues: [queueJson()],
  tasks: [taskJson()],
  events: [eventJson()],
  ...part,
})

export const deltaJson = (part: Partial<DeltaJson> = {}): DeltaJson => ({ type: 'delta', seq: 2, at: iso(epoch + 1000), ...part })
