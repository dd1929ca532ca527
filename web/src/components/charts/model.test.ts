import { describe, expect, it } from 'vitest'
import type { Series } from '@/data/stats/types'
import { latest, peak, perMinute, slices, stacked } from './model'

const series = (part: Partial<Series>): Series => ({ from: 0, stepMs: 5000, tasks: {}, types: {}, waiting: {}, workers: {}, marks: [], ...part })

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
