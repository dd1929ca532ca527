/** What all charts over time share: axes, marks, and colours of the theme. */
import { useEffect, useState } from 'react'
import uPlot from 'uplot'
import type { I18n } from '@/i18n/context'

export interface Curve {
  name: string
  label: string
  /** A custom property of tokens.css. */
  color: string
  values: (number | null)[]
}

export interface Mark {
  at: number
  /** What happened, in the reader's language. */
  label: string
  color: string
  /** A tick at the edge instead of a line: of these there may be many. */
  small: boolean
}

/** Charts of one page point at the same moment. */
const sync = 'time'
const increments = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6]
/** How near to a mark, in pixels, the pointer reads it. */
const markReach = 7

export type ColorOf = (name: string) => string

/** Resolves `var(--name)`: a canvas does not follow custom properties. */
export const colorsOf = (element: Element): ColorOf => {
  const style = getComputedStyle(element)
  return (name) => style.getPropertyValue(name.slice(4, -1)).trim()
}

interface PlotOptions {
  element: HTMLElement
  height: number
  i18n: I18n
  color: ColorOf
  series: uPlot.Series[]
  /** The lowest value that the axis reaches up to. */
  least: number
  format: (value: number) => string
  marks: () => readonly Mark[]
  onPoint: (index: number | null, mark: Mark | null) => void
  /** Given: the curve nearest to the pointer is told, and the others step back. */
  onNearest?: ((series: number | null) => void) | undefined
  data: uPlot.AlignedData
}

export function makePlot({ element, height, i18n, color, series, least, format, marks, onPoint, onNearest, data }: PlotOptions): uPlot {
  const axis = { stroke: color('var(--muted)'), grid: { stroke: color('var(--rule)'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
  const options: uPlot.Options = {
    width: element.clientWidth,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: sync, setSeries: false }, ...(onNearest && { focus: { prox: 1e6 } }) },
    ...(onNearest && { focus: { alpha: 0.28 } }),
    scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(least, max * 1.08)] } },
    axes: [
      { ...axis, values: (_, splits, __, ___, incr) => splits.map((split) => (incr < 60 ? i18n.clock : i18n.clockMinute)(split * 1000)), size: 24, space: 72 },
      { ...axis, size: 52, space: 34, incrs: increments, values: (_, splits) => splits.map(format) },
    ],
    series: [{}, ...series],
    hooks: {
      setCursor: [(u) => onPoint(u.cursor.idx ?? null, markAt(u, marks()))],
      setSeries: [(_, index) => onNearest?.(index)],
      draw: [(u) => drawMarks(u, marks(), color)],
    },
  }
  return new uPlot(options, data, element)
}

function markAt(u: uPlot, marks: readonly Mark[]): Mark | null {
  const { left } = u.cursor
  if (left === undefined || left < 0) return null
  let best: Mark | null = null
  let bestDistance = markReach
  for (const mark of marks) {
    const distance = Math.abs(u.valToPos(mark.at / 1000, 'x') - left)
    if (distance <= bestDistance) [best, bestDistance] = [mark, distance]
  }
  return best
}

function drawMarks(u: uPlot, marks: readonly Mark[], color: ColorOf): void {
  const { ctx, bbox } = u
  ctx.save()
  for (const mark of marks) {
    const x = Math.round(u.valToPos(mark.at / 1000, 'x', true))
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.strokeStyle = ctx.fillStyle = color(mark.color)
    const size = (mark.small ? 3 : 4) * devicePixelRatio
    if (!mark.small) {
      ctx.lineWidth = devicePixelRatio
      ctx.globalAlpha = 0.55
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
      ctx.beginPath()
      ctx.moveTo(x, bbox.top)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      ctx.globalAlpha = 1
    }
    ctx.beginPath()
    ctx.moveTo(x - size, bbox.top - size)
    ctx.lineTo(x + size, bbox.top - size)
    ctx.lineTo(x, bbox.top + size)
    ctx.fill()
  }
  ctx.restore()
}

/** Changes whenever light turns to dark or back. */
export function useThemeVersion(): number {
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
