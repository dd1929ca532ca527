import { describe, expect, it } from 'vitest'
import { makeTask } from '@/test/domain'
import { matches, standsWithin } from './filter'

describe('matches', () => {
  const task = makeTask({ id: 'task-104', type: 'image.resize', status: 'failed', worker: 'worker-3', tags: { customer: 'acme' } })
  it.each([
    [{ status: 'pending,failed' }, true],
    [{ status: 'pending' }, false],
    [{ type: 'image.*' }, true],
    [{ type: '*' }, true],
    [{ type: 'image' }, false],
    [{ worker: 'worker-3' }, true],
    [{ tag: 'customer:acme' }, true],
    [{ tag: 'customer:other' }, false],
    [{ q: 'task-1' }, true],
    [{ q: 'task-2' }, false],
    [{ priority: 'high' }, false],
    [{ queue: 'default' }, true],
  ])('%j: %s', (filter, expected) => {
    expect(matches(task, filter)).toBe(expected)
  })
})

it('standsWithin tells where the order can be told', () => {
  const at = (submittedAt: number) => makeTask({ submittedAt })
  expect(standsWithin(at(5), at(3), '-submittedAt')).toBe(true)
  expect(standsWithin(at(2), at(3), '-submittedAt')).toBe(false)
  expect(standsWithin(at(2), at(3), 'submittedAt')).toBe(true)
  expect(standsWithin(at(9), at(3), 'priority')).toBe(true)
  expect(standsWithin(at(2), undefined, '-submittedAt')).toBe(true)
})
