import { describe, expect, it } from 'vitest'
import { makeTask } from '@/test/domain'
import { matches, overlay, unseen } from './live.model'

const live = (...tasks: { task: ReturnType<typeof makeTask>; changedAt: number }[]) => new Map(tasks.map((entry) => [entry.task.id, entry]))

describe('overlay', () => {
  it('shows what changed after the list was read, and only that', () => {
    const listed = [makeTask({ id: 'a' }), makeTask({ id: 'b' })]
    const now = live({ task: makeTask({ id: 'a', status: 'completed' }), changedAt: 20 }, { task: makeTask({ id: 'b', status: 'failed' }), changedAt: 5 })
    expect(overlay(listed, now, 10).map((task) => task.status)).toEqual(['completed', 'pending'])
  })
})

describe('unseen', () => {
  const listed = [makeTask({ id: 'a', submittedAt: 100 }), makeTask({ id: 'b', submittedAt: 50 })]

  it('counts matching tasks that came after the list was read', () => {
    const now = live(
      { task: makeTask({ id: 'new', submittedAt: 120 }), changedAt: 20 },
      { task: makeTask({ id: 'a', submittedAt: 100 }), changedAt: 20 },
      { task: makeTask({ id: 'other', submittedAt: 130, status: 'failed' }), changedAt: 20 },
      { task: makeTask({ id: 'old news', submittedAt: 140 }), changedAt: 1 },
    )
    expect(unseen(listed, now, 10, { status: 'pending' }, '-submittedAt', false)).toBe(1)
  })

  it('leaves to scrolling what sorts behind the last row', () => {
    const now = live({ task: makeTask({ id: 'older', submittedAt: 10 }), changedAt: 20 })
    expect(unseen(listed, now, 10, {}, '-submittedAt', false)).toBe(0)
    expect(unseen(listed, now, 10, {}, '-submittedAt', true)).toBe(1)
  })
})

describe('matches', () => {
  const task = makeTask({ id: 'task-104', type: 'image.resize', status: 'failed', worker: 'worker-3', tags: { customer: 'acme' } })
  it.each([
    [{ status: 'pending,failed' }, true],
    [{ status: 'pending' }, false],
    [{ type: 'image.*' }, true],
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
