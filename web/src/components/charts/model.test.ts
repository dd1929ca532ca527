import { describe, expect, it } from 'vitest'
import { makeSeries as series } from '@/test/domain'
import { latest, nearestFirst, peak, perMinute, slices, stacked, stretch, summed, thinned } from './model'

describe('perMinute', () => {
  it('slides a whole minute over fine steps', () => {
    const minutes = perMinute(series({ from: 0, stepMs: 20_000, tasks: { completed: [1, 2, 4, 8, 0], failed: [0, null, 1, 0, 0] } }))
    expect(minutes).toEqual({ at: [60_000, 80_000, 100_000], values: { completed: [7, 14, 12], failed: [1, 1, 1] } })
  })

  it('divides coarse steps', () => {
    const minutes = perMinute(series({ stepMs: 120_000, tasks: { completed: [10, 4] } }))
    expect(minutes).toEqual({ at: [120_000, 240_000], values: { completed: [5, 2] } })
  })

  it('takes a series shorter than a minute as one', () => {
    expect(perMinute(series({ stepMs: 20_000, tasks: { completed: [1, 2] } }))).toEqual({ at: [40_000], values: { completed: [3] } })
  })

  it('takes an empty series', () => {
    expect(perMinute(series({}))).toEqual({ at: [], values: {} })
  })
})

it('stacks lines', () => {
  expect(stacked([[1, 2], [3, 4], [5, 6]])).toEqual([[1, 2], [4, 6], [9, 12]])
  expect(stacked([[1, null], [null, null]])).toEqual([[1, null], [1, null]])
})

it('adds lines up, and keeps what nobody knows unknown', () => {
  expect(summed([[1, null, 2], [4, null]])).toEqual([5, null, 2])
  expect(summed([])).toEqual([])
})

it('thins a line by means', () => {
  expect(thinned([1, 3, null, 5, null, null], 3)).toEqual([2, 5, null])
  expect(thinned([1, 2], 3)).toEqual([1, 2])
})

it('names the curve pointed at, else the highest ones', () => {
  const curves = ['a', 'b', 'c', 'd'].map((name, i) => ({ name, values: [i, null] }))
  expect(nearestFirst(curves, 'b', 0).map(({ name }) => name)).toEqual(['b'])
  expect(nearestFirst(curves, null, 0).map(({ name }) => name)).toEqual(['d', 'c', 'b'])
})

it('opens the minute before a point, or its whole step', () => {
  const at = Date.parse('2026-01-01T10:21:00.000Z')
  expect(stretch(at, 5000)).toEqual({ since: '2026-01-01T10:20:00.000Z', until: '2026-01-01T10:21:00.000Z' })
  expect(stretch(at, 600_000).since).toBe('2026-01-01T10:11:00.000Z')
})

it('orders slices by size and gathers the small ones', () => {
  expect(slices({ a: 1, b: 6, c: 2, d: 1, none: 0 }, 2, 'Others')).toEqual([
    { name: 'b', count: 6, share: 0.6 },
    { name: 'c', count: 2, share: 0.2 },
    { name: 'Others', count: 2, share: 0.2 },
  ])
})

it('finds the last known value and the peak', () => {
  expect(latest([1, 2, null])).toBe(2)
  expect(latest([])).toBeNull()
  expect(peak([[1, null], [7, 3]])).toBe(7)
})
