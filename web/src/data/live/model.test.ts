import { describe, expect, it } from 'vitest'
import { deltaJson, epoch, eventJson, iso, poolJson, queueJson, snapshotJson, statsJson, taskJson, workerJson, type DeltaJson, type SnapshotJson } from '@/test/wire'
import { Delta, Snapshot } from '@/wire/schemas'
import { endedShownMs, eventsSince, fromSnapshot, maxTasks, withDelta } from './model'

const now = epoch + 250
const start = (part: Partial<SnapshotJson> = {}) => fromSnapshot(Snapshot.parse(snapshotJson(part)), now, null)
const apply = (part: Partial<DeltaJson>, data = start(), at = now + 1000) => withDelta(data, Delta.parse(deltaJson(part)), at)

describe('snapshot', () => {
  it('becomes the picture', () => {
    const data = start({ seq: 41 })
    expect(data.seq).toBe(41)
    expect(data.clockSkewMs).toBe(250)
    expect([...data.workers.keys()]).toEqual(['worker-1'])
    expect(data.queues.get('default')?.waiting).toBe(12)
    expect(data.tasks.get('task-104')?.changedAt).toBe(0)
  })

  it('ages heartbeats from when they came, whatever the clocks say', () => {
    expect(start().workers.get('worker-1')?.heartbeatAt).toBe(now - 800)
  })

  it('keeps workers that vanished while the connection was lost', () => {
    const before = start()
    const data = fromSnapshot(Snapshot.parse(snapshotJson({ workers: [workerJson({ id: 'worker-2' })] })), now + 5000, before)
    expect([...data.ended.keys()]).toEqual(['worker-1'])
  })
})

describe('delta', () => {
  it('changes nothing it does not mention', () => {
    const before = start()
    const after = apply({ seq: 7 }, before)
    expect(after.seq).toBe(7)
    for (const part of ['stats', 'workers', 'pools', 'queues', 'tasks', 'events'] as const) expect(after[part]).toBe(before[part])
  })

  it('replaces what was upserted and takes out what was removed', () => {
    const after = apply({
      stats: statsJson({ systemStatus: 'Recovering' }),
      workers: { upserted: [workerJson({ id: 'worker-2' })], removed: ['worker-1'] },
      tasks: { upserted: [taskJson({ id: 'task-105' }), taskJson({ id: 'task-104', status: 'completed' })], removed: [] },
      pools: { upserted: [poolJson({ desired: 2 })], removed: [] },
      queues: { upserted: [queueJson({ name: 'mail' })], removed: ['default'] },
    })
    expect(after.stats.systemStatus).toBe('Recovering')
    expect([...after.workers.keys()]).toEqual(['worker-2'])
    expect(after.tasks.get('task-104')).toMatchObject({ task: { status: 'completed' }, changedAt: now + 1000 })
    expect(after.pools.get('default')?.desired).toBe(2)
    expect([...after.queues.keys()]).toEqual(['mail'])
    expect([...apply({ tasks: { upserted: [], removed: ['task-104'] } }).tasks.keys()]).toEqual([])
  })

  it('lists a worker that went for a minute, with the reason of its event', () => {
    const after = apply({
      workers: { upserted: [], removed: ['worker-1'] },
      events: [eventJson({ seq: '2.0', event: 'worker.lost', workerId: 'worker-1', data: { reason: 'exit status 137' } })],
    })
    expect(after.ended.get('worker-1')).toMatchObject({ reason: 'exit status 137', endedAt: now + 1000 })
    const later = apply({ workers: { upserted: [], removed: [] } }, after, now + 1000 + endedShownMs)
    expect(later.ended.size).toBe(0)
  })

  it('puts new events first, in order, each once', () => {
    const after = apply({ events: [eventJson({ seq: '2.9' }), eventJson({ seq: '2.10' }), eventJson({ seq: '1.0' })] })
    expect(after.events.map((event) => event.seq)).toEqual(['2.10', '2.9', '1.0'])
    expect(eventsSince(start().events, after.events)).toBe(2)
  })

  it('keeps the latest tasks only, however many come', () => {
    let data = start()
    for (let round = 0; round < 5; round++) {
      const upserted = Array.from({ length: 500 }, (_, i) => taskJson({ id: `task-${round}-${i}`, submittedAt: iso(epoch) }))
      data = apply({ tasks: { upserted, removed: [] } }, data)
    }
    expect(data.tasks.size).toBe(maxTasks)
    expect(data.tasks.has('task-4-499')).toBe(true)
    expect(data.tasks.has('task-2-499')).toBe(false)
  })
})
