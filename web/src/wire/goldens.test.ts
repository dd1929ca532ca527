/**
 * The golden files of the services, read as the dashboard reads them: what one side
 * changes alone fails here. A file is known by its name.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as factories from '@/test/wire'
import * as wire from './schemas'

const folder = join(process.cwd(), '../shared/wire/testdata')

const known: Record<string, z.ZodType> = {
  task: wire.TaskDetail,
  taskDetail: wire.TaskDetail,
  tasks: wire.TaskList,
  taskList: wire.TaskList,
  event: wire.Event,
  events: wire.EventPage,
  worker: wire.Worker,
  workers: wire.WorkersStatus,
  workersStatus: wire.WorkersStatus,
  pool: wire.Pool,
  pools: wire.PoolList,
  queue: wire.Queue,
  queues: wire.QueueList,
  stats: wire.Stats,
  series: wire.Series,
  logs: wire.LogPage,
  snapshot: wire.Snapshot,
  delta: wire.Delta,
  problem: wire.Problem,
}

/** `workers_status.json`, `workers-status.json` and `http.workersStatus.json` are one name. */
const nameOf = (file: string) =>
  file
    .replace(/\.json$/, '')
    .replace(/^(http|ws|api)[._-]/, '')
    .replace(/[._-](\w)/g, (_, letter: string) => letter.toUpperCase())

const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json') && nameOf(file) in known) : []

/** Over HTTP every field of a shape is present; these may be absent by the contract. */
const optional = new Set(['facets', 'payloadExpired', 'historyTruncated', 'duplicate', 'reason', 'detail', 'errors'])

function faults(schema: z.ZodType | undefined, value: unknown): unknown[] {
  const issues: unknown[] = schema?.safeParse(value).error?.issues ?? []
  if (!(schema instanceof z.ZodObject) || schema === wire.Delta || typeof value !== 'object' || value === null) return issues
  const absent = Object.keys(schema.shape).filter((key) => !(key in value) && !optional.has(key))
  return [...issues, ...absent.map((key) => `${key} is absent`)]
}

it('reads the goldens of the services', () => {
  const found = files.map((file) => [file, faults(known[nameOf(file)], JSON.parse(readFileSync(join(folder, file), 'utf8')))])
  expect(found).toEqual(files.map((file) => [file, []]))
})

describe('own factories', () => {
  it.each([
    ['task', wire.Task, factories.taskJson()],
    ['event', wire.Event, factories.eventJson()],
    ['worker', wire.Worker, factories.workerJson()],
    ['pool', wire.Pool, factories.poolJson()],
    ['queue', wire.Queue, factories.queueJson()],
    ['stats', wire.Stats, factories.statsJson()],
    ['snapshot', wire.Snapshot, factories.snapshotJson()],
    ['delta', wire.Delta, factories.deltaJson({ stats: factories.statsJson(), events: [factories.eventJson()] })],
  ] as [string, z.ZodType, object][])('%s has every field of its shape', (_, schema, value) => {
    expect(faults(schema, value)).toEqual([])
  })

  it('reads what leaves nulls out, as KV values do', () => {
    const { id, type, queue, priority, status, attempt, retries, maxRetries, submittedAt } = factories.taskJson()
    expect(wire.Task.parse({ id, type, queue, priority, status, attempt, retries, maxRetries, submittedAt })).toMatchObject({ worker: null, tags: {}, error: null })
  })
})
