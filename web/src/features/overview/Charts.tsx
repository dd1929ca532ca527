import { useNavigate, useSearch } from '@tanstack/react-router'
import { useMemo } from 'react'
import { LazyChart } from '@/components/charts/LazyChart'
import { perMinute, stepEnds, stretch, windowOf } from '@/components/charts/model'
import type { Curve, Mark } from '@/components/charts/plot'
import { WindowPicker } from '@/components/charts/WindowPicker'
import { ErrorNote } from '@/components/errors'
import { Panel } from '@/components/Panel'
import { useSeries } from '@/data/stats/hooks'
import { usualWindow } from '@/data/stats/queries'
import type { Series } from '@/data/stats/types'
import { toMarks } from '@/domain/marks'
import { priorityColors, priorityLabels, taskStates } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { priorities } from '@/wire/schemas'
import { SlotStrips } from './SlotStrips'
import { TypeShares } from './TypeShares'
import { Waiting } from './Waiting'
import { WorkerCharts } from './WorkerCharts'

const tall = 190
const low = 150

/** The charts, all of one time window and with the same marks. */
export function Charts() {
  const i18n = useI18n()
  const { t } = i18n
  const { window = usualWindow } = useSearch({ from: '/ui' })
  const { data, error, refetch } = useSeries(window)
  const marks = useMemo(() => (data ? toMarks(data.marks, windowOf(data), i18n) : []), [data, i18n])
  if (error && !data) return <ErrorNote error={error} onRetry={() => void refetch()} />
  const room = (height: number) => <div style={{ height: height + 30 }} />
  return (
    <div className="charts">
      <Panel title={t('chart.perMinute')} aside={<WindowPicker current={window} />} className="chart-wide">
        {data ? <PerMinute series={data} marks={marks} /> : room(tall)}
      </Panel>
      <Panel title={t('chart.waiting')} className="chart-side">
        <Waiting />
      </Panel>
      <Panel title={t('chart.depth')} className="chart-half">
        {data ? <Depth series={data} marks={marks} /> : room(low)}
      </Panel>
      <Panel title={t('chart.latency')} className="chart-half">
        {data ? <Latency series={data} marks={marks} /> : room(low)}
      </Panel>
      {data ? <WorkerCharts series={data} marks={marks} height={low} /> : room(low)}
      <SlotStrips />
      <Panel title={t('chart.types')} className="chart-side">{data ? <TypeShares types={data.types} /> : null}</Panel>
    </div>
  )
}

interface ChartProps {
  series: Series
  marks: Mark[]
}

/** A click into a chart opens what happened then. */
function useDoor(stepMs: number) {
  const navigate = useNavigate()
  return (at: number) => void navigate({ to: '/ui/events', search: stretch(at, stepMs) })
}

function PerMinute({ series, marks }: ChartProps) {
  const i18n = useI18n()
  const pick = useDoor(series.stepMs)
  const minutes = useMemo(() => perMinute(series), [series])
  const curves = useMemo(() => outcomes(minutes.values, i18n), [minutes, i18n])
  const scaled = series.marks.filter((mark) => mark.event === 'pool.scaled').length
  return (
    <>
      <LazyChart name="perMinute" label={i18n.t('chart.perMinute')} at={minutes.at} curves={curves} kind="areas" marks={marks} height={tall} format={(value) => i18n.number(Math.round(value * 10) / 10)} axisFormat={i18n.short} onPick={pick} />
      <p className="chart-marks muted">{marks.length > 0 ? i18n.t('chart.marks', { scaled, failures: marks.length - scaled }) : '\u00a0'}</p>
    </>
  )
}

function outcomes(values: Record<string, number[]>, { t }: I18n): Curve[] {
  return (['completed', 'failed', 'cancelled'] as const).flatMap((outcome) => {
    const line = values[outcome]
    return line ? [{ name: outcome, label: t(taskStates[outcome].label), color: taskStates[outcome].color, values: line }] : []
  })
}

function Depth({ series, marks }: ChartProps) {
  const i18n = useI18n()
  const pick = useDoor(series.stepMs)
  const curves = useMemo(
    () => priorities.map((priority) => ({ name: priority, label: i18n.t(priorityLabels[priority]), color: priorityColors[priority], values: series.waiting[priority] ?? [] })),
    [series, i18n],
  )
  const at = stepEnds(series, curves[0]?.values.length ?? 0)
  return <LazyChart name="depth" label={i18n.t('chart.depth')} at={at} curves={curves} kind="areas" marks={marks} height={low} format={i18n.number} axisFormat={i18n.short} onPick={pick} />
}

function Latency({ series, marks }: ChartProps) {
  const i18n = useI18n()
  const pick = useDoor(series.stepMs)
  const { p50, p99 } = series.queueLatencyMs
  const curves = useMemo(
    () => [
      { name: 'p50', label: i18n.t('chart.p50'), color: 'var(--accent)', values: p50 },
      { name: 'p99', label: i18n.t('chart.p99'), color: 'var(--muted)', values: p99 },
    ],
    [p50, p99, i18n],
  )
  return <LazyChart name="latency" label={i18n.t('chart.latency')} at={stepEnds(series, p50.length)} curves={curves} kind="lines" marks={marks} height={low} least={10} format={i18n.duration} axisFormat={i18n.shortDuration} onPick={pick} />
}
