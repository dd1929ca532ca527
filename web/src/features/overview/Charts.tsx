import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useMemo } from 'react'
import { perMinute } from '@/components/charts/model'
import { ErrorNote } from '@/components/errors'
import { Panel } from '@/components/Panel'
import { useConnection, usePaused } from '@/data/live/hooks'
import { seriesQuery } from '@/data/stats/queries'
import { windows, type Series } from '@/data/stats/types'
import { taskStates } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { TypeShares } from './TypeShares'
import { Waiting } from './Waiting'
import { WorkerStrips } from './WorkerStrips'

const AreaChart = lazy(() => import('@/components/charts/AreaChart'))
const chartHeight = 190
const minute = 60_000

/** The charts of the seed, all of one time window. */
export function Charts() {
  const { t } = useI18n()
  const { window = '15m' } = useSearch({ from: '/ui' })
  const live = useConnection().phase === 'live'
  const paused = usePaused()
  const { data, error, refetch } = useQuery(seriesQuery(window, live && !paused))
  if (error && !data) return <ErrorNote error={error} onRetry={() => void refetch()} />
  return (
    <div className="charts">
      <Panel title={t('chart.perMinute')} aside={<WindowPicker />} className="chart-wide">
        {data ? <PerMinute series={data} /> : <div style={{ height: chartHeight + 28 }} />}
      </Panel>
      <Panel title={t('chart.waiting')}>
        <Waiting />
      </Panel>
      <WorkerStrips series={data} />
      <Panel title={t('chart.types')}>{data ? <TypeShares types={data.types} /> : null}</Panel>
    </div>
  )
}

function WindowPicker() {
  const { t } = useI18n()
  return (
    <div className="segments" role="group" aria-label={t('chart.window')}>
      {windows.map((option) => (
        <Link key={option} to="/ui" search={option === '15m' ? {} : { window: option }} replace className="segment" activeOptions={{ exact: true, includeSearch: true }} activeProps={{}} resetScroll={false}>
          {option}
        </Link>
      ))}
    </div>
  )
}

function PerMinute({ series }: { series: Series }) {
  const i18n = useI18n()
  const navigate = useNavigate()
  const minutes = useMemo(() => perMinute(series), [series])
  const areas = useMemo(() => outcomeAreas(minutes.values, i18n), [minutes, i18n])
  const marks = useMemo(
    () =>
      series.marks.map((mark) => ({
        at: mark.timestamp,
        label: mark.event,
        color: mark.event === 'pool.scaled' ? 'var(--violet)' : 'var(--vermilion)',
      })),
    [series],
  )
  const pick = (at: number) => {
    const length = Math.max(minute, series.stepMs)
    void navigate({ to: '/ui/events', search: { since: new Date(at - length).toISOString(), until: new Date(at).toISOString() } })
  }
  const scaled = series.marks.filter((mark) => mark.event === 'pool.scaled').length
  return (
    <>
      <Suspense fallback={<div style={{ height: chartHeight + 28 }} />}>
        <AreaChart label={i18n.t('chart.perMinute')} at={minutes.at} areas={areas} marks={marks} height={chartHeight} onPick={pick} />
      </Suspense>
      {marks.length > 0 && <p className="chart-marks muted">{i18n.t('chart.marks', { scaled, failures: marks.length - scaled })}</p>}
    </>
  )
}

function outcomeAreas(values: Record<string, number[]>, { t }: I18n) {
  return (['completed', 'failed', 'cancelled'] as const).flatMap((outcome) => {
    const line = values[outcome]
    return line ? [{ name: outcome, label: t(taskStates[outcome].label), color: taskStates[outcome].color, values: line }] : []
  })
}
