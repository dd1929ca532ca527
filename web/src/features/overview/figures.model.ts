/** The recent course of each figure, from the series of the API. Pure. */
import { perMinute, summed } from '@/components/charts/model'
import type { Line, Series } from '@/data/stats/types'

export type FigureName = 'total' | 'pending' | 'inProgress' | 'failed' | 'workers' | 'throughput' | 'average' | 'latency'

export function courses(series: Series): Record<FigureName, Line> {
  const count = (name: string) => series.counts[name] ?? []
  const waiting = summed(Object.values(series.waiting))
  return {
    total: count('total'),
    // What waits is sampled over all of time, what is kept only since the API began.
    pending: waiting.some((value) => value !== null) ? waiting : count('pending'),
    inProgress: count('inProgress'),
    failed: count('failed'),
    workers: summed(Object.values(series.workers).map(({ cpuPercent }) => cpuPercent.map((value) => (value === null ? null : 1)))),
    throughput: summed(Object.values(perMinute(series).values)),
    average: series.averageExecutionTimeMs,
    latency: series.queueLatencyMs.p99,
  }
}
