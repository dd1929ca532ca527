import { useState, type PointerEvent } from 'react'
import { useI18n } from '@/i18n/context'
import type { Line } from '@/data/stats/types'
import { latest } from './model'

interface StripProps {
  label: string
  values: Line
  from: number
  stepMs: number
  /** The value at the top edge. */
  max: number
  format: (value: number) => string
}

const width = 200
const height = 28

/** One line over time in the height of a row, with its last value; pointing at it shows the value there. */
export function Strip({ label, values, from, stepMs, max, format }: StripProps) {
  const i18n = useI18n()
  const [hover, setHover] = useState<number | null>(null)
  const step = values.length > 1 ? width / (values.length - 1) : width
  const y = (value: number) => height - 1 - (Math.min(value, max) / max) * (height - 2)
  const runs = linePaths(values, step, y)
  const shown = hover === null ? latest(values) : (values[hover] ?? null)
  const text = shown === null ? i18n.t('common.dash') : format(shown)
  const move = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    setHover(Math.round(((event.clientX - box.left) / box.width) * (values.length - 1)))
  }
  return (
    <div className="strip">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${label}: ${text}`} onPointerMove={move} onPointerLeave={() => setHover(null)}>
        <line x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} className="strip-base" />
        {runs.map((run) => (
          <g key={run.area}>
            <path d={run.area} className="strip-area" />
            <path d={run.line} className="strip-line" vectorEffect="non-scaling-stroke" />
          </g>
        ))}
        {hover !== null && <line x1={hover * step} x2={hover * step} y1="0" y2={height} className="strip-cursor" vectorEffect="non-scaling-stroke" />}
      </svg>
      <span className="strip-value">
        {text}
        {hover !== null && <small className="muted">{i18n.clock(from + hover * stepMs)}</small>}
      </span>
    </div>
  )
}

/** A path for each stretch of known values: a gap stays a gap. */
function linePaths(values: Line, step: number, y: (value: number) => number): { line: string; area: string }[] {
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
