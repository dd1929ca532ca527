/** Figures for charts, from the series of the API. Pure. */
import type { Line, Series } from '@/data/stats/types'

export interface Minutes {
  /** Epoch milliseconds. */
  at: number[]
  /** Tasks that ended in the minute before each of these times, by outcome. */
  values: Record<string, number[]>
}

const minute = 60_000

/**
 * Tasks per minute by outcome, as a window that slides by one step: so the newest figure
 * is of a whole minute and does not begin at zero again with each. Steps longer than a
 * minute are divided.
 */
export function perMinute({ from, stepMs, tasks }: Series): Minutes {
  const length = Math.max(0, ...Object.values(tasks).map((line) => line.length))
  const width = Math.max(1, Math.round(minute / stepMs))
  const first = Math.min(width, length) - 1
  const scale = minute / (width * stepMs)
  const at: number[] = []
  for (let i = first; i >= 0 && i < length; i++) at.push(from + (i + 1) * stepMs)
  const values = Object.fromEntries(Object.entries(tasks).map(([outcome, line]) => [outcome, sliding(line, width, length).slice(Math.max(0, first)).map((sum) => sum * scale)]))
  return { at, values }
}

/** Sum of the last `width` values at each place. */
function sliding(line: Line, width: number, length: number): number[] {
  let sum = 0
  return Array.from({ length }, (_, i) => (sum += (line[i] ?? 0) - (i >= width ? (line[i - width] ?? 0) : 0)))
}

/** Each line on top of the ones before it. */
export function stacked(lines: readonly number[][]): number[][] {
  const sum: number[] = []
  return lines.map((line) => line.map((value, i) => (sum[i] = (sum[i] ?? 0) + value)))
}

export interface Slice {
  name: string
  count: number
  /** 0 to 1. */
  share: number
}

/** The largest first; what is beyond `most` is gathered under `others`. */
export function slices(counts: Record<string, number>, most: number, others: string): Slice[] {
  const sorted = Object.entries(counts).filter(([, count]) => count > 0)
  sorted.sort(([a, x], [b, y]) => y - x || a.localeCompare(b))
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  const shown = sorted.slice(0, most)
  const rest = sorted.slice(most).reduce((sum, [, count]) => sum + count, 0)
  if (rest > 0) shown.push([others, rest])
  return shown.map(([name, count]) => ({ name, count, share: count / total }))
}

/** The last value that is known. */
export function latest(line: Line): number | null {
  for (let i = line.length - 1; i >= 0; i--) {
    const value = line[i]
    if (value !== null && value !== undefined) return value
  }
  return null
}

export const peak = (lines: readonly Line[]): number => lines.reduce((most, line) => line.reduce<number>((max, value) => Math.max(max, value ?? 0), most), 0)
