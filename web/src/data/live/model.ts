/** The live picture and how messages change it. Pure: no sockets, no clocks. */
import type { WireDelta, WireSnapshot } from '@/wire/schemas'
import { isFailure } from '@/domain/events'
import { compareSeq, toEvent } from '../events/mapper'
import type { Event } from '../events/types'
import type { Pool } from '../pools/types'
import { toQueue } from '../queues/mapper'
import type { Queue } from '../queues/types'
import { toStats } from '../stats/mapper'
import type { Stats } from '../stats/types'
import { toTask } from '../tasks/mapper'
import type { Task } from '../tasks/types'
import { toWorker } from '../workers/mapper'
import type { EndedWorker, Worker } from '../workers/types'

/** Enough for the newest rows of any list; what is older is asked for when wanted. */
export const maxTasks = 1000
export const maxEvents = 1000
/** As many of the newest events as a snapshot brings. */
export const snapshotEvents = 200
/** Failures outlast the rush of other events: they stay until they are seen. */
export const maxFailures = 50
/** How long a worker that ended stays listed. */
export const endedShownMs = 60_000

export interface LiveTask {
  task: Task
  /** When the change came, on the browser's clock; 0 for what the snapshot brought. */
  changedAt: number
}

export interface LiveData {
  seq: number | string
  /** Browser's time minus server's time. */
  clockSkewMs: number
  stats: Stats
  workers: ReadonlyMap<string, Worker>
  ended: ReadonlyMap<string, EndedWorker>
  pools: ReadonlyMap<string, Pool>
  queues: ReadonlyMap<string, Queue>
  tasks: ReadonlyMap<string, LiveTask>
  /** Newest first. */
  events: readonly Event[]
  /** Those among all events so far that somebody may have to act on, newest first. */
  failures: readonly Event[]
}

export function fromSnapshot(message: WireSnapshot, receivedAt: number, before: LiveData | null): LiveData {
  const workers = byKey(message.workers.map((worker) => toWorker(worker, receivedAt)), (worker) => worker.id)
  const gone = before ? [...before.workers.values()].filter((worker) => !workers.has(worker.id)) : []
  const events = message.events.map(toEvent)
  return {
    seq: message.seq,
    clockSkewMs: receivedAt - Date.parse(message.at),
    stats: toStats(message.stats),
    workers,
    ended: keepEnded(before?.ended ?? new Map(), gone, events, receivedAt, workers),
    pools: byKey(message.pools, (pool) => pool.name),
    queues: byKey(message.queues.map(toQueue), (queue) => queue.name),
    tasks: new Map(message.tasks.map((task) => [task.id, { task: toTask(task), changedAt: 0 }])),
    events: mergeEvents([], events),
    failures: mergeEvents(before?.failures ?? [], events.filter(isFailure), maxFailures),
  }
}

/** `tasks` are those the message brings, mapped. */
export function withDelta(data: LiveData, message: WireDelta, receivedAt: number, tasks: readonly Task[] = message.tasks?.upserted.map(toTask) ?? []): LiveData {
  const events = message.events.map(toEvent)
  const next: LiveData = { ...data, seq: message.seq, clockSkewMs: receivedAt - Date.parse(message.at) }
  if (message.stats) next.stats = toStats(message.stats)
  if (message.workers) {
    const gone = message.workers.removed.flatMap((id) => data.workers.get(id) ?? [])
    const upserted = message.workers.upserted.map((worker) => toWorker(worker, receivedAt))
    next.workers = patched(data.workers, upserted, message.workers.removed, (worker) => worker.id)
    next.ended = keepEnded(data.ended, gone, events, receivedAt, next.workers)
  }
  if (message.pools) next.pools = patched(data.pools, message.pools.upserted, message.pools.removed, (pool) => pool.name)
  if (message.queues) next.queues = patched(data.queues, message.queues.upserted.map(toQueue), message.queues.removed, (queue) => queue.name)
  if (message.tasks) next.tasks = patchedTasks(data.tasks, tasks, message.tasks.removed, receivedAt)
  if (events.length > 0) {
    next.events = mergeEvents(data.events, events)
    next.failures = mergeEvents(data.failures, events.filter(isFailure), maxFailures)
  }
  return next
}

/** Events newer than `known`, newest first, each once. */
export function mergeEvents(known: readonly Event[], added: readonly Event[], most = maxEvents): readonly Event[] {
  const newest = known[0]
  const fresh = added.filter((event) => !newest || compareSeq(event.seq, newest.seq) > 0)
  fresh.sort((a, b) => compareSeq(b.seq, a.seq))
  return fresh.length === 0 ? known : [...fresh, ...known].slice(0, most)
}

/** How many events `after` holds that came later than the newest of `before`. */
export function eventsSince(before: readonly Event[], after: readonly Event[]): number {
  const newest = before[0]
  return newest ? after.filter((event) => compareSeq(event.seq, newest.seq) > 0).length : after.length
}

const byKey = <T>(items: readonly T[], key: (item: T) => string): Map<string, T> => new Map(items.map((item) => [key(item), item]))

function patched<T>(known: ReadonlyMap<string, T>, upserted: readonly T[], removed: readonly string[], key: (item: T) => string): ReadonlyMap<string, T> {
  if (upserted.length === 0 && removed.length === 0) return known
  const next = new Map(known)
  for (const id of removed) next.delete(id)
  for (const item of upserted) next.set(key(item), item)
  return next
}

function patchedTasks(known: ReadonlyMap<string, LiveTask>, upserted: readonly Task[], removed: readonly string[], changedAt: number): ReadonlyMap<string, LiveTask> {
  const next = new Map(known)
  for (const id of removed) next.delete(id)
  for (const task of upserted) {
    next.delete(task.id) // Set again below, so that the map stays ordered by last change.
    next.set(task.id, { task, changedAt })
  }
  for (const id of next.keys()) {
    if (next.size <= maxTasks) break
    next.delete(id)
  }
  return next
}

function keepEnded(
  known: ReadonlyMap<string, EndedWorker>,
  gone: readonly Worker[],
  events: readonly Event[],
  now: number,
  living: ReadonlyMap<string, Worker>,
): ReadonlyMap<string, EndedWorker> {
  const next = new Map([...known].filter(([id, worker]) => now - worker.endedAt < endedShownMs && !living.has(id)))
  for (const worker of gone) {
    const last = events.find((event) => event.workerId === worker.id && /^worker\.(lost|stopped|hung)$/.test(event.event))
    const reason = typeof last?.data.reason === 'string' ? last.data.reason : null
    const { id, pool, cpuPercent, memoryMb, concurrency, completed, failed } = worker
    next.set(id, { id, pool, cpuPercent, memoryMb, concurrency, completed, failed, endedAt: now, reason })
  }
  return next
}
