import type { Line } from '@/data/stats/types'
import { peak, thinned } from './model'
import { linePaths } from './paths'

const width = 100
const height = 22
const most = 60

/** The recent course of a figure: a shape without words, which stand beside it. */
export function Spark({ values, max }: { values: Line; max?: number }) {
  const line = thinned(values, most)
  const top = max ?? Math.max(1, peak([line]))
  const step = line.length > 1 ? width / (line.length - 1) : width
  const runs = linePaths(line, step, (value) => height - 1 - (Math.min(value, top) / top) * (height - 3), height)
  return (
    <svg className="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {runs.map((run) => (
        <g key={run.area}>
          <path d={run.area} className="spark-area" />
          <path d={run.line} className="spark-line" vectorEffect="non-scaling-stroke" />
        </g>
      ))}
    </svg>
  )
}
