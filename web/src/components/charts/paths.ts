import type { Line } from '@/data/stats/types'

/** A path for each stretch of known values: a gap stays a gap. */
export function linePaths(values: Line, step: number, y: (value: number) => number, height: number): { line: string; area: string }[] {
  const runs: { line: string; area: string }[] = []
  let points: [number, number][] = []
  const flush = () => {
    const first = points[0]
    const last = points[points.length - 1]
    if (first && last) {
      const line = points.map(([x, at], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${at.toFixed(1)}`).join('')
      runs.push({ line, area: `${line}L${last[0].toFixed(1)} ${height}L${first[0].toFixed(1)} ${height}Z` })
    }
    points = []
  }
  values.forEach((value, i) => {
    if (value === null) flush()
    else points.push([i * step, y(value)])
  })
  flush()
  return runs
}
