import { describe, expect, it } from 'vitest'
import { makeEvent } from '@/test/domain'
import { matchesSearch, merged, newerThan } from './events.model'

const at = (seq: string, part = {}) => makeEvent({ seq, ...part })

describe('merged', () => {
  it('joins both sources, newest first, each event once', () => {
    const result = merged([at('9.0'), at('8.1')], [at('10.0'), at('9.0')], {})
    expect(result.map((event) => event.seq)).toEqual(['10.0', '9.0', '8.1'])
  })

  it('keeps to the filters', () => {
    const events = [at('1.0', { workerId: 'worker-1' }), at('1.1', { workerId: 'worker-2' })]
    expect(merged(events, [], { worker: 'worker-2' }).map((event) => event.seq)).toEqual(['1.1'])
  })
})

describe('matchesSearch', () => {
  it('takes only final failures for failures', () => {
    expect(matchesSearch(makeEvent({ event: 'task.failed', data: { final: false } }), { kind: 'failures' })).toBe(false)
    expect(matchesSearch(makeEvent({ event: 'task.failed', data: { final: true } }), { kind: 'failures' })).toBe(true)
  })

  it('keeps to a stretch of time', () => {
    const event = makeEvent({ timestamp: Date.parse('2026-01-01T10:21:30Z') })
    expect(matchesSearch(event, { since: '2026-01-01T10:21:00Z', until: '2026-01-01T10:22:00Z' })).toBe(true)
    expect(matchesSearch(event, { until: '2026-01-01T10:21:00Z' })).toBe(false)
  })
})

it('counts what came after the last one seen', () => {
  expect(newerThan([at('10.0'), at('9.0'), at('8.0')], '9.0')).toBe(1)
  expect(newerThan([at('10.0')], null)).toBe(0)
  expect(newerThan([at('10.0'), at('9.0')], '2.0')).toBe(2)
})
