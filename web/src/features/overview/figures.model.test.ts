import { describe, expect, it } from 'vitest'
import { makeSeries } from '@/test/domain'
import { courses } from './figures.model'

describe('courses', () => {
  it('adds up what waits, and counts the workers that were there', () => {
    const { pending, workers, total } = courses(
      makeSeries({
        waiting: { high: [1, null, 3], low: [2, null, 0] },
        counts: { pending: [9, 9, 9], total: [null, 4, 5] },
        workers: { 'worker-1': { cpuPercent: [1, 2, null], memoryMb: [] }, 'worker-2': { cpuPercent: [null, 7, null], memoryMb: [] } },
      }),
    )
    expect(pending).toEqual([3, null, 3])
    expect(workers).toEqual([1, 2, null])
    expect(total).toEqual([null, 4, 5])
  })

  it('takes counts of what is pending where nobody sampled what waits', () => {
    expect(courses(makeSeries({ counts: { pending: [4, 2] } })).pending).toEqual([4, 2])
  })

  it('has nothing to show of an empty series', () => {
    expect(courses(makeSeries())).toEqual({ total: [], pending: [], inProgress: [], failed: [], workers: [], throughput: [], average: [], latency: [] })
  })
})
