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

/** Each line on top of the ones before it; unknown where nothing of it is known. */
export function stacked(lines: readonly Line[]): Line[] {
  const sum: Line = []
  return lines.map((line) => line.map((value, i) => (sum[i] = value === null ? (sum[i] ?? null) : (sum[i] ?? 0) + value)))
}

/** When each step of a line ends. */
export const stepEnds = ({ from, stepMs }: Pick<Series, 'from' | 'stepMs'>, length: number): number[] => Array.from({ length }, (_, i) => from + (i + 1) * stepMs)

/** How long the stretch of time is that a series is of. */
export const windowOf = ({ stepMs, tasks }: Series): number => stepMs * Math.max(1, ...Object.values(tasks).map((line) => line.length))

/** The minute, or step where that is longer, that ends at a time. */
export function stretch(at: number, stepMs: number): { since: string; until: string } {
  return { since: new Date(at - Math.max(minute, stepMs)).toISOString(), until: new Date(at).toISOString() }
}

/** Which of many curves to name: the one pointed at, else the highest at that place; three at most. */
export function nearestFirst<T extends { name: string; values: Line }>(curves: readonly T[], near: string | null, index: number): T[] {
  const pointed = curves.find((curve) => curve.name === near)
  if (pointed) return [pointed]
  const value = (curve: T) => curve.values[index] ?? -1
  return [...curves].sort((a, b) => value(b) - value(a)).slice(0, 3)
}

/** All lines added up, place by place: a whole of parts, unknown where no part is known. */
export function summed(lines: readonly Line[]): Line {
  const length = Math.max(0, ...lines.map((line) => line.length))
  return Array.from({ length }, (_, i) => {
    const known = lines.map((line) => line[i]).filter((value): value is number => value !== null && value !== undefined)
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0)
  })
}

/** At most `most` values, each the mean of those it stands for: what a spark can show. */
export function thinned(line: Line, most: number): Line {
  const every = Math.ceil(line.length / most)
  if (every <= 1) return line
  return Array.from({ length: Math.ceil(line.length / every) }, (_, i) => {
    const known = line.slice(i * every, (i + 1) * every).filter((value): value is number => value !== null)
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
  })
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
