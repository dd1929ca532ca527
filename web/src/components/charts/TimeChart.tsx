import { useEffect, useRef, useState } from 'react'
import type uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useI18n } from '@/i18n/context'
import { colorsOf, makePlot, useThemeVersion, type ColorOf, type Curve, type Mark } from './plot'
import { Legend, ValueTable } from './legend'
import { nearestFirst, stacked } from './model'

export interface TimeChartProps {
  /** Names this chart among those of a page, for tests and for its table. */
  name: string
  label: string
  /** Epoch milliseconds, one per value. */
  at: number[]
  curves: Curve[]
  /** areas: stacked in the order given. lines: each from zero. many: lines of one kind, named when pointed at. */
  kind: 'areas' | 'lines' | 'many'
  marks: Mark[]
  height: number
  /** The lowest value that the axis reaches up to: a chart of nothing has a scale, too. */
  least?: number
  format: (value: number) => string
  axisFormat?: (value: number) => string
  /** Called with the time that was clicked, and the curve where one of many was meant. */
  onPick?: (at: number, curve: string | null) => void
}

/** Curves over time, with marks as thin lines. Its values are in a table for those who do not see it. */
export default function TimeChart({ name, label, at, curves, kind, marks, height, least = 1, format, axisFormat = format, onPick }: TimeChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const inputs = useRef({ marks, onPick, at, near: null as string | null })
  const i18n = useI18n()
  const [point, setPoint] = useState<{ index: number | null; mark: Mark | null }>({ index: null, mark: null })
  const [near, setNear] = useState<string | null>(null)
  const theme = useThemeVersion()
  const shape = curves.map((curve) => `${curve.name}:${curve.color}`).join()

  useEffect(() => {
    inputs.current = { ...inputs.current, marks, onPick, at }
    plot.current?.setData(aligned(kind, at, curves))
  }, [kind, at, curves, marks, onPick])

  useEffect(() => {
    const element = box.current
    if (!element) return
    const color = colorsOf(element)
    const shown = kind === 'areas' ? [...curves].reverse() : curves
    const made = makePlot({
      element,
      height,
      i18n,
      color,
      least,
      format: axisFormat,
      data: aligned(kind, at, curves),
      series: shown.map((curve) => look(kind, curve, color)),
      marks: () => inputs.current.marks,
      onPoint: (index, mark) => setPoint((now) => (now.index === index && now.mark === mark ? now : { index, mark })),
      onNearest:
        kind === 'many'
          ? (series) => {
              inputs.current.near = series === null ? null : (curves[series - 1]?.name ?? null)
              setNear(inputs.current.near)
            }
          : undefined,
    })
    plot.current = made
    made.over.addEventListener('click', () => {
      const { at: times, onPick: pick, near: curve } = inputs.current
      const time = made.cursor.idx == null ? undefined : times[made.cursor.idx]
      if (time !== undefined) pick?.(time, curve)
    })
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
    // The plot is made anew for another set of curves, theme or language; values come by setData.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, theme, height, least, i18n])

  const index = point.index ?? at.length - 1
  const named = kind === 'many' ? nearestFirst(curves, near, index) : curves
  return (
    <figure className="chart" aria-label={label} data-testid={`chart-${name}`}>
      <Legend curves={named} swatches={kind !== 'many'} at={at[index]} index={index} mark={point.mark} format={format} />
      <div ref={box} className={onPick ? 'plot plot-door' : 'plot'} style={{ height }} aria-hidden="true" />
      <ValueTable label={label} at={at} curves={curves} latestOnly={kind === 'many'} format={format} />
    </figure>
  )
}

function look(kind: TimeChartProps['kind'], curve: Curve, color: ColorOf): uPlot.Series {
  const stroke = color(curve.color)
  const base: uPlot.Series = { stroke, width: 1.5, points: { show: false } }
  if (kind === 'areas') return { ...base, fill: `color-mix(in srgb, ${stroke} 30%, ${color('var(--surface)')})` }
  // A lone sample between two gaps would not show as a line.
  return { ...base, width: kind === 'many' ? 1.2 : 1.6, points: { show: (_, __, first, last) => last - first === 0, size: 4 } }
}

/** Areas highest first: each is painted from the ground and covered by those below it. */
function aligned(kind: TimeChartProps['kind'], at: number[], curves: Curve[]): uPlot.AlignedData {
  const lines = curves.map((curve) => curve.values)
  return [at.map((time) => time / 1000), ...(kind === 'areas' ? stacked(lines).reverse() : lines)]
}
