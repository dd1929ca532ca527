import { describe, expect, it } from 'vitest'
import { makeEvent } from '@/test/domain'
import { EventsSearch } from '@/routes/search'
import { fromInput, matchesSearch, newerThan, toFilter, toggled, toInput } from './events.model'

const at = (seq: string) => makeEvent({ seq })

describe('kinds', () => {
  it('are taken up and put down, in one order', () => {
    expect(toggled({}, 'task')).toBe('task')
    expect(toggled({ kind: 'worker' }, 'failures')).toBe('failures,worker')
    expect(toggled({ kind: 'failures,worker' }, 'failures')).toBe('worker')
    expect(toggled({ kind: 'worker' }, 'worker')).toBeUndefined()
  })

  it('are read from the address, without what is none', () => {
    expect(EventsSearch.parse({ kind: 'audit,colour,task' })).toEqual({ kind: 'task,audit' })
    expect(EventsSearch.parse({ kind: 'colour' }).kind).toBeUndefined()
  })

  it('become names of events, each once', () => {
    expect(toFilter({ kind: 'queue,pool', task: 'task-1' })).toEqual({ event: 'pool.scaled,pool.changed,queue.paused,queue.resumed,queue.changed', task: 'task-1' })
    expect(toFilter({ kind: 'failures,task' }).event?.split(',').filter((name) => name === 'task.failed')).toHaveLength(1)
  })
})

describe('matchesSearch', () => {
  it('takes only final failures for failures', () => {
    const retry = makeEvent({ event: 'task.failed', data: { final: false } })
    expect(matchesSearch(retry, { kind: 'failures' })).toBe(false)
    expect(matchesSearch(retry, { kind: 'failures,task' })).toBe(true)
    expect(matchesSearch(makeEvent({ event: 'task.failed', data: { final: true } }), { kind: 'failures' })).toBe(true)
  })

  it('keeps to worker, task and a stretch of time', () => {
    const event = makeEvent({ timestamp: Date.parse('2026-01-01T10:21:30Z'), workerId: 'worker-2' })
    expect(matchesSearch(event, { since: '2026-01-01T10:21:00Z', until: '2026-01-01T10:22:00Z' })).toBe(true)
    expect(matchesSearch(event, { until: '2026-01-01T10:21:00Z' })).toBe(false)
    expect(matchesSearch(event, { worker: 'worker-1' })).toBe(false)
    expect(matchesSearch(event, { task: 'task-104' })).toBe(true)
  })
})

it('counts what came after the last one seen', () => {
  expect(newerThan([at('10.0'), at('9.0'), at('8.0')], '9.0')).toBe(1)
  expect(newerThan([at('10.0')], null)).toBe(0)
  expect(newerThan([at('10.0'), at('9.0')], '2.0')).toBe(2)
})

it('reads and writes the input of a time', () => {
  const time = Date.parse('2026-01-01T10:21:30Z')
  expect(fromInput(toInput(time))).toBe('2026-01-01T10:21:30.000Z')
  expect(fromInput('')).toBeNull()
  expect(fromInput('soon')).toBeNull()
})
