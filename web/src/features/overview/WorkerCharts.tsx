import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { LazyChart } from '@/components/charts/LazyChart'
import { stepEnds } from '@/components/charts/model'
import type { Curve, Mark } from '@/components/charts/plot'
import { Panel } from '@/components/Panel'
import type { Line, Series } from '@/data/stats/types'
import { useI18n } from '@/i18n/context'

interface WorkerChartsProps {
  series: Series
  marks: Mark[]
  height: number
}

const curves = (ids: string[], of: (id: string) => Line | undefined): Curve[] => ids.map((id) => ({ name: id, label: id, color: 'var(--accent)', values: of(id) ?? [] }))

/**
 * CPU and memory, one thin line a worker: with a hundred of them the crowd shows where most
 * are, and the one that is pointed at steps forward with its name. A click opens it.
 */
export function WorkerCharts({ series, marks, height }: WorkerChartsProps) {
  const i18n = useI18n()
  const navigate = useNavigate()
  const ids = useMemo(() => Object.keys(series.workers).sort((a, b) => a.localeCompare(b, 'en', { numeric: true })), [series])
  const cpu = useMemo(() => curves(ids, (id) => series.workers[id]?.cpuPercent), [ids, series])
  const memory = useMemo(() => curves(ids, (id) => series.workers[id]?.memoryMb), [ids, series])
  const at = stepEnds(series, cpu[0]?.values.length ?? 0)
  const open = (_: number, id: string | null) => {
    if (id !== null) void navigate({ to: '/ui/workers/$id', params: { id } })
  }
  const charts = [
    { name: 'cpu', label: i18n.t('chart.cpu'), curves: cpu, least: 100, format: (value: number) => `${i18n.number(Math.round(value))} %` },
    { name: 'memory', label: i18n.t('chart.memory'), curves: memory, least: 50, format: (value: number) => `${i18n.number(Math.round(value))} MB` },
  ]
  return charts.map((chart) => (
    <Panel key={chart.name} title={chart.label} className="chart-half">
      {ids.length === 0 ? <p className="empty-line">{i18n.t('chart.noData')}</p> : <LazyChart {...chart} at={at} kind="many" marks={marks} height={height} axisFormat={i18n.short} onPick={open} />}
    </Panel>
  ))
}
