/**
 * What the API says, as it stands on the wire. Reading is tolerant in one way only: a key
 * that may be null may also be absent, and unknown keys are ignored, so that a dashboard
 * left open survives an upgrade of its server. The goldens test is strict instead.
 */
import { z } from 'zod'

// No code from strings: the server's content policy forbids it.
z.config({ jitless: true })

/** A value that is null where unknown. */
const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? null)
const count = z.number().int().nonnegative()
const time = z.iso.datetime({ offset: true })
/** Nothing in it may be told as null. */
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((items) => items ?? [])
const map = <T extends z.ZodType>(value: T) => z.record(z.string(), value).nullish().transform((values) => values ?? {})
const counts = map(z.number())

export const taskStatuses = ['scheduled', 'pending', 'inProgress', 'retrying', 'completed', 'failed', 'cancelled'] as const
export const priorities = ['critical', 'high', 'medium', 'low'] as const
export const workerStatuses = ['starting', 'idle', 'active', 'busy', 'draining', 'hung'] as const
export const systemStatuses = ['Stable', 'High Load', 'Recovering'] as const
export const errorCodes = ['handler', 'timeout', 'deadline', 'crashed', 'unknownType'] as const

export const TaskStatus = z.enum(taskStatuses)
export const Priority = z.enum(priorities)
export const WorkerStatus = z.enum(workerStatuses)
export const SystemStatus = z.enum(systemStatuses)

export const TaskError = z.object({ message: z.string(), code: orNull(z.string()), attempt: orNull(count), at: orNull(time) })
export const Progress = z.object({ percent: orNull(z.number()), message: orNull(z.string()) })
export const Backoff = z.object({ policy: z.string(), baseMs: z.number(), maxMs: z.number(), jitter: z.number() })

export const Task = z.object({
  id: z.string(),
  type: z.string(),
  queue: z.string(),
  priority: Priority,
  status: TaskStatus,
  attempt: count,
  retries: count,
  maxRetries: count,
  backoff: orNull(Backoff),
  timeoutMs: orNull(z.number()),
  deadline: orNull(time),
  retentionMs: orNull(z.number()),
  tags: map(z.string()),
  fence: orNull(z.number()),
  error: orNull(TaskError),
  progress: orNull(Progress),
  worker: orNull(z.string()),
  pool: orNull(z.string()),
  submittedAt: time,
  scheduledFor: orNull(time),
  startedAt: orNull(time),
  finishedAt: orNull(time),
  waitTimeMs: orNull(z.number()),
  executionTimeMs: orNull(z.number()),
})

export const Event = z.object({
  seq: z.string(),
  timestamp: time,
  event: z.string(),
  description: z.string(),
  taskId: orNull(z.string()),
  workerId: orNull(z.string()),
  pool: orNull(z.string()),
  attempt: orNull(z.number()),
  data: map(z.unknown()),
})

export const TaskDetail = Task.extend({
  history: list(Event),
  historyTruncated: orNull(z.boolean()).transform((truncated) => truncated ?? false),
  payloadExpired: orNull(z.boolean()).transform((expired) => expired ?? false),
})

export const Facets = z.object({ status: counts, type: counts, queue: counts, priority: counts }).partial()
export const TaskList = z.object({ tasks: list(Task), total: count, nextCursor: orNull(z.string()), facets: Facets.nullish() })

export const LogLine = z.object({ at: time, level: z.string(), message: z.string(), attempt: orNull(z.number()) })
export const LogPage = z.object({ logs: list(LogLine), nextCursor: orNull(z.string()) })

export const Worker = z.object({
  id: z.string(),
  pool: z.string(),
  host: orNull(z.string()),
  pid: orNull(z.number()),
  status: WorkerStatus,
  cpuPercent: orNull(z.number()),
  memoryMb: orNull(z.number()),
  assignedTasks: count,
  concurrency: orNull(z.number()),
  completed: orNull(count),
  failed: orNull(count),
  startedAt: orNull(time),
  lastHeartbeat: orNull(time),
  lastHeartbeatAgoMs: orNull(z.number()),
  tasks: list(z.string()),
})

/** A worker that ended in the last minute: `status` is the last one seen, if any. */
export const EndedWorker = Worker.extend({ status: orNull(z.string()), assignedTasks: orNull(count), endedAt: time, reason: orNull(z.string()) })
export const WorkersStatus = z.object({
  workers: list(Worker),
  ended: list(EndedWorker),
  updatedAt: orNull(time),
})

export const Pool = z.object({
  name: z.string(),
  min: count,
  max: count,
  desired: orNull(count),
  running: count,
  queues: list(z.string()),
  paused: orNull(z.boolean()).transform((paused) => paused ?? false),
  reason: orNull(z.string()),
  instances: z.unknown(),
})
export const PoolList = z.object({ pools: list(Pool) })

export const Limits = z.object({ maxConcurrent: orNull(z.number()), ratePerSecond: orNull(z.number()) })
export const Queue = Limits.extend({
  name: z.string(),
  depth: counts,
  oldestWaitMs: orNull(z.number()),
  rateIn: orNull(z.number()),
  rateOut: orNull(z.number()),
  servedBy: list(z.string()),
  paused: orNull(z.boolean()).transform((paused) => paused ?? false),
  types: map(Limits),
})
export const QueueList = z.object({ queues: list(Queue) })

export const Stats = z.object({
  systemStatus: SystemStatus,
  reason: orNull(z.string()),
  workers: z.object({ active: count, idle: count }),
  tasks: z.object({
    pending: count,
    inProgress: count,
    completed: count,
    failed: count,
    scheduled: count,
    retrying: count,
    cancelled: count,
    total: count,
  }),
  averageExecutionTimeMs: orNull(z.number()),
  throughputPerMinute: orNull(z.number()),
  queueLatencyMs: orNull(z.object({ p50: orNull(z.number()), p99: orNull(z.number()) })),
  uptime: orNull(z.string()),
  updatedAt: time,
})

const line = list(z.number().nullable())
export const Series = z.object({
  from: time,
  stepMs: z.number().positive(),
  tasks: map(line),
  types: counts,
  waiting: map(line),
  counts: map(line),
  queueLatencyMs: orNull(z.object({ p50: line, p99: line })),
  averageExecutionTimeMs: line,
  workers: map(z.object({ cpuPercent: line, memoryMb: line })),
  marks: list(Event),
})

export const EventPage = z.object({ events: list(Event), nextCursor: orNull(z.string()) })

const seq = z.union([z.number(), z.string()])
/** What is removed is named: by id, pools and queues by name. */
const change = <T extends z.ZodType>(item: T) => z.object({ upserted: list(item), removed: list(z.string()) })

export const Snapshot = z.object({
  type: z.literal('snapshot'),
  seq,
  at: time,
  stats: Stats,
  workers: list(Worker),
  pools: list(Pool),
  queues: list(Queue),
  tasks: list(Task),
  events: list(Event),
})
export const Delta = z.object({
  type: z.literal('delta'),
  seq,
  at: time,
  stats: Stats.nullish(),
  workers: change(Worker).nullish(),
  pools: change(Pool).nullish(),
  queues: change(Queue).nullish(),
  tasks: change(Task).nullish(),
  events: list(Event),
})
export const LiveMessage = z.discriminatedUnion('type', [Snapshot, Delta])

export const FieldFault = z.object({ field: z.string(), value: z.unknown(), rule: z.string() })
export const Problem = z.object({
  status: z.number().optional(),
  title: z.string().optional(),
  detail: z.string().nullish(),
  errors: z.array(FieldFault).nullish(),
})
export const roles = ['viewer', 'submitter', 'operator', 'admin'] as const
export const Session = z.object({ name: z.string(), role: z.enum(roles) })
export const Accepted = z.object({ id: z.string(), status: z.string(), duplicate: z.boolean().optional() })
export const Matched = z.object({ matched: count })

export type TaskStatus = z.infer<typeof TaskStatus>
export type Priority = z.infer<typeof Priority>
export type WorkerStatus = z.infer<typeof WorkerStatus>
export type SystemStatus = z.infer<typeof SystemStatus>
export type WireTask = z.infer<typeof Task>
export type WireTaskDetail = z.infer<typeof TaskDetail>
export type WireEvent = z.infer<typeof Event>
export type WireWorker = z.infer<typeof Worker>
export type WireEndedWorker = z.infer<typeof EndedWorker>
export type WirePool = z.infer<typeof Pool>
export type WireQueue = z.infer<typeof Queue>
export type WireStats = z.infer<typeof Stats>
export type WireSeries = z.infer<typeof Series>
export type WireSnapshot = z.infer<typeof Snapshot>
export type WireDelta = z.infer<typeof Delta>
export type Role = (typeof roles)[number]
export type FieldFault = z.infer<typeof FieldFault>
