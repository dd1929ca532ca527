import { describe, expect, it } from 'vitest'
import { makeTaskDetail } from '@/test/domain'
import { blank, bodyOf, faultsOf, fieldOf, like, type Draft } from './submit.model'

const now = Date.parse('2026-01-01T10:00:00Z')
const draft = (part: Partial<Draft>): Draft => ({ ...blank, type: 'sleep', ...part })
const fields = (part: Partial<Draft>) => faultsOf(draft(part), now).map(({ field, rule }) => `${field} ${rule}`)

describe('faultsOf', () => {
  it('takes a type alone', () => expect(fields({})).toEqual([]))

  it.each<[Partial<Draft>, string[]]>([
    [{ type: '' }, ['type rule.required']],
    [{ type: 'image..resize' }, ['type rule.type']],
    [{ type: 'x'.repeat(65) }, ['type rule.type']],
    [{ queue: 'no spaces' }, ['queue rule.queue']],
    [{ id: 'task-123' }, ['id rule.idMade']],
    [{ id: 'task-1234-2' }, ['id rule.idMade']],
    [{ id: 'task-12' }, []],
    [{ id: 'ä' }, ['id rule.id']],
    [{ payload: '{"a":' }, ['payload rule.json']],
    [{ maxRetries: '101' }, ['maxRetries rule.maxRetries']],
    [{ maxRetries: '1.5' }, ['maxRetries rule.maxRetries']],
    [{ jitter: '2' }, ['jitter rule.jitter']],
    [{ base: '25h' }, ['base rule.backoff']],
    [{ base: 'soon' }, ['base rule.duration']],
    [{ timeout: '8d' }, ['timeout rule.timeout']],
    [{ retention: '30s' }, ['retention rule.retention']],
    [{ start: 'delay' }, ['delay rule.required']],
    [{ start: 'delay', delay: '2y' }, ['delay rule.duration']],
    [{ start: 'at', runAt: '2028-01-01T00:00' }, ['runAt rule.year']],
    [{ deadline: '2025-01-01T00:00' }, ['deadline rule.past']],
    [{ tags: [{ key: 'a b', value: '' }, { key: 'a', value: 'x'.repeat(129) }, { key: 'a', value: '1' }] }, ['tags.0 rule.tagKey', 'tags.1 rule.tagValue', 'tags.2 rule.tagTwice']],
    [{ tags: [{ key: '', value: '' }] }, []],
  ])('%j', (part, expected) => expect(fields(part)).toEqual(expected))
})

describe('bodyOf', () => {
  it('says only what was filled in', () => {
    expect(bodyOf(draft({}))).toBe('{"type":"sleep"}')
  })

  it('keeps the digits of the payload', () => {
    expect(bodyOf(draft({ payload: '{ "n": 12345678901234567890, "m": 1.50 }' }))).toContain('"payload":{ "n": 12345678901234567890, "m": 1.50 }')
  })

  it('says everything', () => {
    const body = bodyOf(draft({
      id: 'mine', queue: 'bulk', priority: 'high', maxRetries: '5', policy: 'fixed', base: '2s', max: '1m', jitter: '0', timeout: '10m',
      start: 'delay', delay: '1h', deadline: '2026-01-02T00:00:00Z', retention: '7d', tags: [{ key: 'customer', value: 'acme' }, { key: '', value: '' }],
    }))
    expect(JSON.parse(body)).toEqual({
      id: 'mine', type: 'sleep', queue: 'bulk', priority: 'high', maxRetries: 5, backoff: { policy: 'fixed', baseMs: 2000, maxMs: 60_000, jitter: 0 },
      timeoutMs: 600_000, delayMs: 3_600_000, deadline: '2026-01-02T00:00:00.000Z', retentionMs: 604_800_000, tags: { customer: 'acme' },
    })
  })
})

describe('fieldOf', () => {
  const tagged = draft({ tags: [{ key: 'a', value: '1' }, { key: 'b.c', value: '2' }] })
  it.each([['type', 'type'], ['backoff.baseMs', 'base'], ['timeoutMs', 'timeout'], ['tags.b.c', 'tags.1'], ['tags', 'tags'], ['', null], ['colour', null]])('%s', (path, field) => {
    expect(fieldOf(path, tagged)).toBe(field)
  })
})

it('like makes the same work again', () => {
  const task = makeTaskDetail({ type: 'hash', payload: '{"n":12345678901234567890}', maxRetries: 1, timeoutMs: 90_000, retentionMs: null, tags: { customer: 'acme' }, priority: 'low', queue: 'default' })
  const again = like(task)
  expect(faultsOf(again, now)).toEqual([])
  expect(bodyOf(again)).toContain('12345678901234567890')
  expect(JSON.parse(bodyOf(again))).toMatchObject({ type: 'hash', priority: 'low', maxRetries: 1, timeoutMs: 90_000, tags: { customer: 'acme' } })
})
