/** What the mock server knows: tasks, workers and so on, and the answers they make. */
import {
  emptyStatsJson,
  eventJson,
  iso,
  poolJson,
  queueJson,
  statsJson,
  taskJson,
  workerJson,
  type DeltaJson,
  type EndedWorkerJson,
  type EventJson,
  type PoolJson,
  type QueueJson,
  type SeriesJson,
  type StatsJson,
  type TaskJson,
  type WorkerJson,
} from '../../src/test/wire'
import type { Recorded } from './server'

export interface Answer {
  status: number
  text: string
}

type BulkBody = { dryRun?: boolean; ids?: string[] } & Record<string, string>

const ended = ['completed', 'failed', 'cancelled']
const applies = (verb: string, task: TaskJson): boolean => (verb === 'cancel' ? !ended.includes(task.status) : verb === 'retry' ? task.status === 'failed' || task.status === 'cancelled' : ended.includes(task.status))

const minute = 60_000

export class World {
  stats: StatsJson = emptyStatsJson()
  workers: WorkerJson[] = []
  ended: EndedWorkerJson[] = []
  pools: PoolJson[] = []
  queues: QueueJson[] = []
  /** Newest first. */
  tasks: TaskJson[] = []
  /** Newest first. */
  events: EventJson[] = []
  series: Partial<SeriesJson> = {}
  marks: EventJson[] = []
  /** Raw JSON of payload and result by task id. */
  readonly payloads = new Map<string, { payload: string; result: string }>()
  readonly logs = new Map<string, { at: string; level: string; message: string; attempt: number }[]>()

  apply(change: Omit<DeltaJson, 'type' | 'seq' | 'at'>): void {
    if (change.stats) this.stats = change.stats
    const upserted = change.tasks?.upserted ?? []
    if (upserted.length > 0) {
      const changed = new Set(upserted.map((task) => task.id))
      this.tasks = [...[...upserted].reverse(), ...this.tasks.filter((known) => !changed.has(known.id))]
    }
    for (const gone of change.tasks?.removed ?? []) this.tasks = this.tasks.filter((task) => task.id !== gone)
    for (const worker of change.workers?.upserted ?? []) this.workers = [...this.workers.filter((known) => known.id !== worker.id), worker]
    for (const gone of change.workers?.removed ?? []) this.workers = this.workers.filter((worker) => worker.id !== gone)
    this.events = [...(change.events ?? [])].reverse().concat(this.events)
  }

  /** Forgets all but the newest tasks and events: for load that goes on for long. */
  keep(most: number): void {
    this.tasks.length = Math.min(this.tasks.length, most)
    this.events.length = Math.min(this.events.length, most)
  }

  answer({ method, path, query, body }: Recorded): Answer | null {
    const [, resource, id, verb] = path.split('/')
    if (method === 'GET') return this.read(resource, id, verb, query)
    if (method === 'POST' && resource === 'tasks' && id === undefined) return ok(202, { id: (body as { id?: string }).id ?? 'task-900', status: 'pending' })
    if (method === 'POST' && resource === 'tasks' && verb === undefined) return ok(202, { matched: this.bulk(id ?? '', body as BulkBody) })
    if (method === 'PATCH' && resource === 'queues') return this.changeQueue(id ?? '', body as Partial<QueueJson>)
    return { status: method === 'DELETE' ? 204 : 202, text: '' }
  }

  /** As the API: only what the verb can be applied to counts; acting changes it at once. */
  private bulk(verb: string, { dryRun, ids, ...filter }: BulkBody): number {
    const chosen = this.tasks.filter((task) => (ids ? ids.includes(task.id) : matches(task, filter)) && applies(verb, task))
    if (dryRun) return chosen.length
    for (const task of chosen) task.status = verb === 'cancel' ? 'cancelled' : 'pending'
    if (verb === 'delete') this.tasks = this.tasks.filter((task) => !chosen.includes(task))
    return chosen.length
  }

  private changeQueue(name: string, change: Partial<QueueJson>): Answer | null {
    const queue = this.queues.find((known) => known.name === name)
    if (!queue) return null
    Object.assign(queue, change, { types: Object.fromEntries(Object.entries(change.types ?? {}).filter(([, own]) => Boolean(own))) })
    return ok(200, queue)
  }

  private read(resource: string | undefined, id: string | undefined, verb: string | undefined, query: Record<string, string>): Answer | null {
    switch (resource) {
      case 'stats':
        return id === 'series' ? ok(200, this.seriesNow()) : ok(200, this.stats)
      case 'events': {
        const { limit = '100', cursor = '0', ...filter } = query
        const all = this.events.filter((event) => eventMatches(event, filter))
        const end = Number(cursor) + Number(limit)
        return ok(200, { events: all.slice(Number(cursor), end), nextCursor: end < all.length ? String(end) : null })
      }
      case 'workers':
        return ok(200, { workers: this.workers, ended: this.ended, updatedAt: iso(Date.now()) })
      case 'tasks':
        if (id === undefined) return ok(200, this.list(query))
        if (verb === 'logs') return ok(200, { logs: this.logs.get(id) ?? [], nextCursor: null })
        return this.detail(id)
      default:
        return null
    }
  }

  private list(query: Record<string, string>): unknown {
    const { limit = '50', cursor = '0', sort = '-submittedAt', facets, ...filter } = query
    const all = this.tasks.filter((task) => matches(task, filter))
    const sign = sort.startsWith('-') ? -1 : 1
    if (sort.endsWith('executionTimeMs')) all.sort((a, b) => sign * ((a.executionTimeMs ?? 0) - (b.executionTimeMs ?? 0)))
    if (sort.endsWith('submittedAt')) all.sort((a, b) => sign * a.submittedAt.localeCompare(b.submittedAt))
    const start = Number(cursor)
    const end = start + Number(limit)
    const count = (name: 'status' | 'type' | 'queue' | 'priority') => {
      const counts: Record<string, number> = {}
      for (const task of all) counts[task[name]] = (counts[task[name]] ?? 0) + 1
      return counts
    }
    return {
      tasks: all.slice(start, end),
      total: all.length,
      nextCursor: end < all.length ? String(end) : null,
      ...(facets && { facets: { status: count('status'), type: count('type'), queue: count('queue'), priority: count('priority') } }),
    }
  }

  private detail(id: string): Answer {
    const task = this.tasks.find((known) => known.id === id)
    if (!task) return { status: 404, text: JSON.stringify({ status: 404, title: 'Not Found', detail: `There is no task ${id}.` }) }
    const history = this.events.filter((event) => event.taskId === id).reverse()
    const rest = JSON.stringify({ ...task, history, historyTruncated: false })
    const { payload, result } = this.payloads.get(id) ?? { payload: 'null', result: 'null' }
    return { status: 200, text: `{"payload":${payload},"result":${result},${rest.slice(1)}` }
  }

  private seriesNow(): SeriesJson {
    const length = Math.max(0, ...Object.values(this.series.tasks ?? {}).map((line) => line?.length ?? 0))
    const from = Math.floor((Date.now() - length * 5000) / 5000) * 5000
    return { from: iso(from), stepMs: 5000, tasks: {}, types: {}, waiting: {}, counts: {}, queueLatencyMs: { p50: [], p99: [] }, averageExecutionTimeMs: [], workers: {}, marks: this.marks, ...this.series }
  }
}

export function emptyWorld(): World {
  const world = new World()
  world.workers = [workerJson({ status: 'idle', cpuPercent: 0.2, memoryMb: 31, assignedTasks: 0, completed: 0, failed: 0, tasks: [] })]
  world.pools = [poolJson({ desired: 1, running: 1, reason: null })]
  return world
}

const types = ['image.resize', 'csv.stats', 'hash', 'http', 'gzip', 'sleep']
const wave = (i: number, period: number) => (1 + Math.sin((i / period) * 2 * Math.PI)) / 2

/** A system at work, the same on every run but for the clock. */
export function busyWorld(now = Date.now()): World {
  const world = new World()
  world.stats = statsJson({
    tasks: { pending: 12, inProgress: 8, completed: 12_373, failed: 3, scheduled: 2, retrying: 1, cancelled: 1, total: 12_400 },
    updatedAt: iso(now),
  })
  world.tasks = Array.from({ length: 400 }, (_, i) => busyTask(i, now))
  world.workers = [12, 35, 58, 7, 91, 0].map((cpu, i) =>
    workerJson({
      id: `worker-${i + 1}`,
      status: (['active', 'active', 'busy', 'active', 'busy', 'idle'] as const)[i] ?? 'active',
      cpuPercent: cpu,
      memoryMb: 150 + i * 16,
      assignedTasks: [1, 1, 4, 1, 4, 0][i] ?? 0,
      lastHeartbeatAgoMs: 300 + i * 310,
      lastHeartbeat: iso(now - 300 - i * 310),
    }),
  )
  world.ended = [{ ...workerJson({ id: 'worker-7' }), endedAt: iso(now - 21_000), reason: 'exit status 137' }]
  world.pools = [poolJson(), poolJson({ name: 'gpu', min: 0, max: 2, desired: 0, running: 0, queues: ['render'], reason: 'nothing to do', paused: true })]
  world.queues = [queueJson(), queueJson({ name: 'reports', depth: { critical: 0, high: 0, medium: 0, low: 0 }, oldestWaitMs: null, rateIn: 0, rateOut: 0, maxConcurrent: 4 }), queueJson({ name: 'mail', depth: { critical: 0, high: 0, medium: 4, low: 0 }, servedBy: [], oldestWaitMs: 64_000, rateIn: 0.1, rateOut: 0 })]
  world.series = {
    tasks: {
      completed: Array.from({ length: 180 }, (_, i) => Math.round(14 + 8 * wave(i, 70) + (i % 3))),
      failed: Array.from({ length: 180 }, (_, i) => (i % 37 === 5 ? 3 : 0)),
      cancelled: Array.from({ length: 180 }, (_, i) => (i === 80 ? 6 : 0)),
    },
    types: { 'image.resize': 1840, 'csv.stats': 920, hash: 610, http: 220, gzip: 84, sleep: 12, exec: 4, 'report.monthly': 2 },
    waiting: {
      critical: Array.from({ length: 180 }, () => 0),
      high: Array.from({ length: 180 }, (_, i) => Math.round(2 * wave(i, 40))),
      medium: Array.from({ length: 180 }, (_, i) => Math.round(9 * wave(i, 55))),
      low: Array.from({ length: 180 }, (_, i) => Math.round(4 * wave(i, 90))),
    },
    counts: {
      total: Array.from({ length: 180 }, (_, i) => 9000 + i * 19),
      inProgress: Array.from({ length: 180 }, (_, i) => 5 + Math.round(6 * wave(i, 30))),
      failed: Array.from({ length: 180 }, (_, i) => (i < 90 ? 1 : i < 150 ? 2 : 3)),
    },
    averageExecutionTimeMs: Array.from({ length: 180 }, (_, i) => Math.round(1100 + 200 * wave(i, 64))),
    queueLatencyMs: { p50: Array.from({ length: 180 }, (_, i) => Math.round(2 + 2 * wave(i, 20))), p99: Array.from({ length: 180 }, (_, i) => Math.round(9 + 8 * wave(i, 33))) },
    workers: Object.fromEntries(
      world.workers.map((worker, w) => [
        worker.id,
        {
          cpuPercent: Array.from({ length: 180 }, (_, i) => (w === 5 && i < 60 ? null : Math.max(0, (worker.cpuPercent ?? 0) * (0.6 + 0.6 * wave(i + w * 9, 30 + w * 7))))),
          memoryMb: Array.from({ length: 180 }, (_, i) => (w === 5 && i < 60 ? null : (worker.memoryMb ?? 0) * (0.7 + (0.3 * i) / 180))),
        },
      ]),
    ),
  }
  world.marks = [
    eventJson({ seq: '900.0', event: 'pool.scaled', timestamp: iso(now - 9 * minute), pool: 'default', data: { from: 4, to: 6, reason: 'backlog' } }),
    eventJson({ seq: '950.0', event: 'worker.lost', timestamp: iso(now - 4 * minute), workerId: 'worker-7', pool: 'default', data: { reason: 'exit status 137' } }),
  ]
  world.events = busyEvents(now)
  addFailedTask(world, now)
  return world
}

function busyTask(i: number, now: number): TaskJson {
  const status = i < 12 ? 'pending' : i < 20 ? 'inProgress' : i === 20 ? 'retrying' : i === 21 ? 'cancelled' : 'completed'
  const ran = status === 'completed' || status === 'retrying'
  return taskJson({
    id: `task-${12_400 - i}`,
    type: types[i % types.length] ?? 'hash',
    status,
    priority: (['medium', 'high', 'medium', 'low', 'critical'] as const)[i % 5] ?? 'medium',
    submittedAt: iso(now - i * 1700 - 900),
    startedAt: status === 'pending' ? null : iso(now - i * 1700),
    finishedAt: status === 'completed' ? iso(now - i * 1700 + 1200) : null,
    executionTimeMs: ran ? 200 + ((i * 7919) % 3100) : null,
    waitTimeMs: status === 'pending' ? null : 2,
    worker: status === 'pending' ? null : `worker-${(i % 6) + 1}`,
    pool: status === 'pending' ? null : 'default',
    retries: status === 'retrying' ? 1 : 0,
    progress: status === 'inProgress' ? { percent: (i * 13) % 100, message: 'row 4,200' } : null,
  })
}

function busyEvents(now: number): EventJson[] {
  const list: Partial<EventJson>[] = [
    { event: 'task.started', taskId: 'task-12388', workerId: 'worker-3' },
    { event: 'task.failed', taskId: 'task-12380', workerId: 'worker-2', data: { final: false, retries: 1, maxRetries: 3, error: { message: 'connection refused', code: 'handler' } } },
    { event: 'task.completed', taskId: 'task-12370', workerId: 'worker-1', data: { executionTimeMs: 1204 } },
    { event: 'worker.ready', taskId: null, workerId: 'worker-6', pool: 'default', data: {} },
    { event: 'worker.created', taskId: null, workerId: 'worker-6', pool: 'default', data: {} },
    { event: 'pool.scaled', taskId: null, pool: 'default', data: { from: 4, to: 6, reason: '12 waiting and 8 running at 1.2s a task; the maximum is 6' } },
    { event: 'worker.lost', taskId: null, workerId: 'worker-7', pool: 'default', data: { reason: 'exit status 137' } },
    { event: 'task.reassigned', taskId: 'task-12371', workerId: 'worker-7', data: { reason: 'crash' } },
    { event: 'system.status', taskId: null, data: { status: 'Recovering', previous: 'Stable', reason: 'worker-7 was lost' } },
    { event: 'queue.paused', taskId: null, data: { queue: 'render' } },
    { event: 'task.rejected', taskId: null, data: { submitSeq: 1042, errors: [{ field: 'priority', value: 'urgent', rule: 'one of critical, high, medium, low' }] } },
    { event: 'audit', taskId: null, data: { actor: 'ana', action: 'pause', target: 'queue render' } },
  ]
  return Array.from({ length: 120 }, (_, i) => {
    const part = list[i % list.length] ?? {}
    return eventJson({ seq: `${1200 - i}.0`, timestamp: iso(now - i * 2300), data: {}, workerId: null, description: part.event ?? '', ...part })
  })
}

function addFailedTask(world: World, now: number): void {
  const at = (ms: number) => iso(now - 60_000 + ms)
  const error = { message: 'read /data/in/photo-104.png: no such file or directory', code: 'handler', attempt: 2, at: at(3500) }
  world.tasks.splice(
    30,
    0,
    taskJson({ id: 'task-104', status: 'failed', priority: 'high', attempt: 2, retries: 1, maxRetries: 1, error, worker: 'worker-1', pool: 'default', submittedAt: at(0), startedAt: at(2300), finishedAt: at(3500), waitTimeMs: 2, executionTimeMs: 1200, fence: 106_497, tags: { customer: 'acme', batch: '2026-01' } }),
  )
  world.payloads.set('task-104', { payload: '{"path":"in/photo-104.png","width":800,"invoice":12345678901234567890,"ratio":1.50}', result: 'null' })
  const history: Partial<EventJson>[] = [
    { event: 'task.submitted', timestamp: at(0), data: { task: { type: 'image.resize' } } },
    { event: 'task.started', timestamp: at(2), workerId: 'worker-3', attempt: 1, data: {} },
    { event: 'task.failed', timestamp: at(1200), workerId: 'worker-3', attempt: 1, data: { final: false, retries: 1, maxRetries: 1, error: { message: 'read /data/in/photo-104.png: input/output error', code: 'handler' } } },
    { event: 'task.started', timestamp: at(2300), workerId: 'worker-1', attempt: 2, data: {} },
    { event: 'task.failed', timestamp: at(3500), workerId: 'worker-1', attempt: 2, data: { final: true, retries: 1, maxRetries: 1, error } },
  ]
  world.events.push(...history.map((part, i) => eventJson({ seq: `${500 + i}.0`, ...part })).reverse())
  world.logs.set('task-104', [
    { at: at(20), level: 'info', message: 'opening in/photo-104.png', attempt: 1 },
    { at: at(1190), level: 'warn', message: 'read failed, giving up this attempt', attempt: 1 },
    { at: at(3490), level: 'error', message: 'no such file', attempt: 2 },
  ])
}

const ok = (status: number, value: unknown): Answer => ({ status, text: JSON.stringify(value) })

function matches(task: TaskJson, filter: Record<string, string>): boolean {
  return Object.entries(filter).every(([name, wanted]) => {
    const any = wanted.split(',')
    switch (name) {
      case 'q':
        return task.id.startsWith(wanted)
      case 'type':
        return any.some((type) => task.type === type || (type.endsWith('.*') && task.type.startsWith(type.slice(0, -1))))
      case 'status':
      case 'queue':
      case 'priority':
      case 'worker':
        return any.includes(task[name] ?? '')
      case 'tag':
        return any.some((pair) => task.tags?.[pair.split(':')[0] ?? ''] === pair.split(':')[1])
      default:
        throw new Error(`unknown query parameter ${name}`)
    }
  })
}

function eventMatches(event: EventJson, filter: Record<string, string>): boolean {
  return Object.entries(filter).every(([name, wanted]) => {
    switch (name) {
      case 'event':
        return wanted.split(',').includes(event.event)
      case 'task':
        return event.taskId === wanted
      case 'worker':
        return event.workerId === wanted
      case 'since':
        return event.timestamp >= wanted
      case 'until':
        return event.timestamp <= wanted
      default:
        throw new Error(`unknown query parameter ${name}`)
    }
  })
}
