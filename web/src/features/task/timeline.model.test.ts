import { describe, expect, it } from 'vitest'
import { makeEvent, makeTaskDetail } from '@/test/domain'
import { attempts, phases, ticks } from './timeline.model'

const retried = makeTaskDetail({
  status: 'completed',
  submittedAt: 1000,
  history: [
    makeEvent({ event: 'task.started', timestamp: 1002, attempt: 1, workerId: 'worker-3' }),
    makeEvent({ event: 'task.submitted', timestamp: 1000 }),
    makeEvent({ event: 'task.failed', timestamp: 2202, attempt: 1, data: { final: false, error: { message: 'boom', code: 'handler' } } }),
    makeEvent({ event: 'task.started', timestamp: 3202, attempt: 2, workerId: 'worker-1' }),
    makeEvent({ event: 'task.completed', timestamp: 4000, attempt: 2 }),
  ],
})

describe('attempts', () => {
  it('pairs each start with its end', () => {
    expect(attempts(retried)).toEqual([
      { number: 1, worker: 'worker-3', startedAt: 1002, endedAt: 2202, outcome: 'failed', error: { message: 'boom', code: 'handler', attempt: 1, at: 2202 } },
      { number: 2, worker: 'worker-1', startedAt: 3202, endedAt: 4000, outcome: 'completed', error: null },
    ])
  })

  it('takes the error of the record where the event has none', () => {
    const error = { message: 'late', code: 'timeout', attempt: 1, at: 5 }
    const task = makeTaskDetail({ status: 'failed', error, history: [makeEvent({ event: 'task.started', timestamp: 1 }), makeEvent({ event: 'task.failed', timestamp: 5 })] })
    expect(attempts(task)[0]?.error).toEqual(error)
  })
})

it('ends an attempt where the next begins, also where its end was not written down', () => {
  const task = makeTaskDetail({ status: 'inProgress', history: [makeEvent({ event: 'task.started', timestamp: 10 }), makeEvent({ event: 'task.started', timestamp: 30 })] })
  expect(attempts(task).map(({ endedAt, outcome }) => [endedAt, outcome])).toEqual([[30, 'reassigned'], [null, null]])
})

describe('phases', () => {
  it('alternates waiting, running and backing off', () => {
    expect(phases(retried, 9000).map(({ kind, from, to, open }) => [kind, to - from, open])).toEqual([
      ['waited', 2, false],
      ['ran', 1200, false],
      ['backoff', 1000, false],
      ['ran', 798, false],
    ])
  })

  it('goes on until now while the task runs or waits', () => {
    const running = makeTaskDetail({ status: 'inProgress', submittedAt: 1000, history: [makeEvent({ event: 'task.started', timestamp: 1500 })] })
    expect(phases(running, 2500).map(({ kind, to, open }) => [kind, to, open])).toEqual([['waited', 1500, false], ['ran', 2500, true]])
    expect(phases(makeTaskDetail({ status: 'pending', submittedAt: 1000, history: [] }), 4000)).toMatchObject([{ kind: 'waited', from: 1000, to: 4000, open: true }])
  })

  it('tells waiting for the due time from waiting for a slot', () => {
    const later = makeTaskDetail({
      status: 'completed',
      submittedAt: 1000,
      history: [
        makeEvent({ event: 'task.submitted', timestamp: 1000, data: {} }),
        makeEvent({ event: 'task.scheduled', timestamp: 1001, data: { reason: 'delay', scheduledFor: new Date(3000).toISOString() } }),
        makeEvent({ event: 'task.started', timestamp: 3040, attempt: 1 }),
        makeEvent({ event: 'task.failed', timestamp: 3100, attempt: 1, data: { final: false, nextAttemptAt: new Date(4100).toISOString() } }),
        makeEvent({ event: 'task.started', timestamp: 4150, attempt: 2 }),
        makeEvent({ event: 'task.completed', timestamp: 4200, attempt: 2 }),
      ],
    })
    expect(phases(later, 9000).map(({ kind, from, to }) => [kind, to - from])).toEqual([
      ['scheduled', 2000],
      ['waited', 40],
      ['ran', 60],
      ['backoff', 1000],
      ['waited', 50],
      ['ran', 50],
    ])
  })

  it('sets the time between an end and a retry by hand apart', () => {
    const again = makeTaskDetail({
      status: 'inProgress',
      submittedAt: 0,
      history: [
        makeEvent({ event: 'task.started', timestamp: 10, attempt: 1 }),
        makeEvent({ event: 'task.failed', timestamp: 20, attempt: 1, data: { final: true } }),
        makeEvent({ event: 'task.scheduled', timestamp: 5000, data: { reason: 'manual' } }),
        makeEvent({ event: 'task.started', timestamp: 5004, attempt: 2 }),
      ],
    })
    expect(phases(again, 5100).map(({ kind, from, to }) => [kind, to - from])).toEqual([['waited', 10], ['ran', 10], ['ended', 4980], ['waited', 4], ['ran', 96]])
  })

  it('waits for its due time while it is scheduled', () => {
    const scheduled = makeTaskDetail({ status: 'scheduled', submittedAt: 1000, scheduledFor: 9000, history: [] })
    expect(phases(scheduled, 4000)).toMatchObject([{ kind: 'scheduled', from: 1000, to: 4000, open: true }])
  })
})

it('ticks stand at round figures', () => {
  expect(ticks(1200)).toEqual([0, 500, 1000])
  expect(ticks(3500)).toEqual([0, 1000, 2000, 3000])
  expect(ticks(300_000)).toEqual([0, 60_000, 120_000, 180_000, 240_000, 300_000])
  expect(ticks(0)).toEqual([])
})
