import { describe, expect, it } from 'vitest'
import { makeEvent, makeTaskDetail } from '@/test/domain'
import { attempts, phases } from './timeline.model'

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
})
