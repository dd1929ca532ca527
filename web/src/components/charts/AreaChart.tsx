import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useI18n } from '@/i18n/context'
import { stacked } from './model'

export interface Area {
  name: string
  label: string
  /** A custom property of tokens.css. */
  color: string
  values: number[]
}

export interface Mark {
  at: number
  label: string
  color: string
}

interface AreaChartProps {
  label: string
  /** Epoch milliseconds. */
  at: number[]
  areas: Area[]
  marks: Mark[]
  height: number
  /** Called with the time of the point that was clicked. */
  onPick?: (at: number) => void
}

/** Areas stacked in the order given, with marks as thin lines. Its values are in a table for those who do not see it. */
export default function AreaChart({ label, at, areas, marks, height, onPick }: AreaChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const inputs = useRef({ marks, onPick, at })
  const i18n = useI18n()
  const [hover, setHover] = useState<number | null>(null)
  const theme = useThemeVersion()
  const shape = areas.map((area) => `${area.name}:${area.color}`).join()

  useEffect(() => {
    inputs.current = { marks, onPick, at }
    plot.current?.setData(data(at, areas))
  }, [at, areas, marks, onPick])

  useEffect(() => {
    const element = box.current
    if (!element) return
    const color = (name: string) => getComputedStyle(element).getPropertyValue(name.slice(4, -1)).trim()
    const axis = { stroke: color('var(--muted)'), grid: { stroke: color('var(--rule)'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 20, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((split) => i18n.clockMinute(split * 1000)), size: 24 },
          { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6], values: (_, splits) => splits.map((split) => i18n.short(split)) },
        ],
        series: [{}, ...[...areas].reverse().map((area) => ({ stroke: color(area.color), width: 1.5, fill: `color-mix(in srgb, ${color(area.color)} 30%, ${color('var(--surface)')})`, points: { show: false } }))],
        hooks: {
          setCursor: [(u) => setHover(u.cursor.idx ?? null)],
          draw: [(u) => drawMarks(u, inputs.current.marks, color)],
        },
      },
      data(at, areas),
      element,
    )
    plot.current = made
    made.over.addEventListener('click', () => {
      const point = made.cursor.idx == null ? undefined : inputs.current.at[made.cursor.idx]
      if (point !== undefined) inputs.current.onPick?.(point)
    })
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
    // The plot is made anew for another set of areas, theme or language; values come by setData.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, theme, height, i18n])

  const index = hover ?? at.length - 1
  const point = at[index]
  return (
    <figure className="chart" aria-label={label}>
      <figcaption className="legend">
        {areas.map((area) => (
          <span key={area.name} className="legend-item">
            <i style={{ background: area.color }} />
            {area.label}
            <b>{i18n.number(Math.round((area.values[index] ?? 0) * 10) / 10)}</b>
          </span>
        ))}
        {point !== undefined && <span className="legend-time muted">{i18n.clockMinute(point)}</span>}
      </figcaption>
      <div ref={box} style={{ height }} aria-hidden="true" />
      <table className="visually-hidden">
        <caption>{label}</caption>
        <thead>
          <tr>
            <th>{i18n.t('chart.time')}</th>
            {areas.map((area) => (
              <th key={area.name}>{area.label}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {at.map((time, i) => (
            <tr key={time}>
              <td>{i18n.clockMinute(time)}</td>
              {areas.map((area) => (
                <td key={area.name}>{i18n.number(area.values[i] ?? 0)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  )
}

/** Highest first: each area is painted from the ground and covered by those below it. */
function data(at: number[], areas: Area[]): uPlot.AlignedData {
  return [at.map((time) => time / 1000), ...stacked(areas.map((area) => area.values)).reverse()]
}

function drawMarks(u: uPlot, marks: readonly Mark[], color: (name: string) => string): void {
  const { ctx, bbox } = u
  ctx.save()
  for (const mark of marks) {
    const x = Math.round(u.valToPos(mark.at / 1000, 'x', true))
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.strokeStyle = ctx.fillStyle = color(mark.color)
    ctx.lineWidth = devicePixelRatio
    ctx.globalAlpha = 0.55
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.globalAlpha = 1
    const size = 4 * devicePixelRatio
    ctx.beginPath()
    ctx.moveTo(x - size, bbox.top - size)
    ctx.lineTo(x + size, bbox.top - size)
    ctx.lineTo(x, bbox.top + size)
    ctx.fill()
  }
  ctx.restore()
}

/** Changes whenever light turns to dark or back: a canvas does not follow custom properties. */
function useThemeVersion(): number {
  const [version, setVersion] = useState(0)
  useEffect(() => {
    const changed = () => setVersion((now) => now + 1)
    const dark = window.matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', changed)
    const observer = new MutationObserver(changed)
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      dark.removeEventListener('change', changed)
      observer.disconnect()
    }
  }, [])
  return version
}
