import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { LazyChart } from '@/components/charts/LazyChart'
import { stepEnds, stretch, windowOf } from '@/components/charts/model'
import { WindowPicker } from '@/components/charts/WindowPicker'
import { Icon } from '@/components/Icon'
import { Panel } from '@/components/Panel'
import { StateBadge } from '@/components/StateBadge'
import { Ago, useServerNow } from '@/components/Time'
import { useLive } from '@/data/live/hooks'
import { useSeries } from '@/data/stats/hooks'
import { usualWindow } from '@/data/stats/queries'
import type { Line } from '@/data/stats/types'
import type { EndedWorker, Worker } from '@/data/workers/types'
import { toMarks } from '@/domain/marks'
import { sayReason } from '@/domain/reasons'
import { workerStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { Heartbeat } from './Heartbeat'
import { useEnded } from './useEnded'
import { WorkerActions } from './WorkerActions'
import { WorkerEvents, WorkerHistory, WorkerSlots } from './WorkerParts'

/** One worker: what it is, what it uses, what it runs and has run. */
export function WorkerPage() {
  const { t } = useI18n()
  const { id } = useParams({ from: '/ui/workers/$id' })
  const worker = useLive((data) => data.workers.get(id))
  const connected = useLive((data) => data.workers) !== undefined
  const ended = useEnded().find((one) => one.id === id)
  return (
    <div className="page worker">
      <title>{`${id} · ${t('app.name')}`}</title>
      <Link to="/ui/workers" className="worker-back">
        <Icon name="back" size={13} />
        {t('workers.all')}
      </Link>
      <div className="worker-head">
        <h1>{worker?.status === 'hung' || (!worker && ended) ? <s>{id}</s> : id}</h1>
        {(worker ?? ended) && <StateBadge state={workerStates[worker?.status ?? 'ended']} strong />}
        {worker && <WorkerActions worker={worker} />}
      </div>
      {worker ? <Facts worker={worker} /> : connected && <Gone id={id} ended={ended} />}
      <Charts id={id} />
      <div className="worker-columns">
        {worker && <WorkerSlots worker={worker} />}
        <WorkerHistory id={id} />
      </div>
      <WorkerEvents id={id} />
    </div>
  )
}

function Gone({ id, ended }: { id: string; ended: EndedWorker | undefined }) {
  const i18n = useI18n()
  const { t } = i18n
  const now = useServerNow()
  if (!ended) {
    return (
      <p className="empty-line">
        {t('workers.unknown', { id })} {t('workers.unknownHint')}
      </p>
    )
  }
  return (
    <p className="worker-gone" role="status">
      {t('workers.endedAgo', { ago: i18n.relative(ended.endedAt, now) })}
      {ended.reason && `: ${sayReason(ended.reason, i18n)}`}
    </p>
  )
}

function Facts({ worker }: { worker: Worker }) {
  const { t, number } = useI18n()
  const { id } = worker
  const figure = (value: number | null, unit = '') => (value === null ? t('common.dash') : `${number(Math.round(value))}${unit}`)
  const facts: [string, ReactNode][] = [
    [t('workers.pool'), worker.pool],
    [t('workers.cpu'), figure(worker.cpuPercent, ' %')],
    [t('workers.memory'), figure(worker.memoryMb)],
    [t('workers.heartbeat'), <Heartbeat key="heartbeat" at={worker.heartbeatAt} />],
    [t('workers.done'), <Link key="done" to="/ui/tasks" search={{ worker: id, status: 'completed' }}>{figure(worker.completed)}</Link>],
    [t('workers.failed'), <Link key="failed" to="/ui/tasks" search={{ worker: id, status: 'failed' }}>{figure(worker.failed)}</Link>],
    [t('workers.started'), <Ago key="started" at={worker.startedAt} />],
    [t('workers.host'), worker.host ?? t('common.dash')],
    [t('workers.pid'), worker.pid ?? t('common.dash')],
  ]
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Charts({ id }: { id: string }) {
  const i18n = useI18n()
  const { t } = i18n
  const navigate = useNavigate()
  const { window = usualWindow } = useSearch({ from: '/ui/workers/$id' })
  const { data } = useSeries(window)
  const marks = useMemo(() => (data ? toMarks(data.marks.filter((mark) => mark.workerId === id || mark.event === 'pool.scaled'), windowOf(data), i18n) : []), [data, id, i18n])
  const lines = data?.workers[id]
  const open = (at: number) => void navigate({ to: '/ui/events', search: { worker: id, ...stretch(at, data?.stepMs ?? 0) } })
  const charts: { name: 'cpu' | 'memory'; values: Line; least: number; unit: string }[] = [
    { name: 'cpu', values: lines?.cpuPercent ?? [], least: 100, unit: '%' },
    { name: 'memory', values: lines?.memoryMb ?? [], least: 50, unit: 'MB' },
  ]
  return (
    <div className="charts">
      {charts.map(({ name, values, least, unit }, i) => (
        <Panel key={name} title={t(`workers.${name}`)} aside={i === 1 ? <WindowPicker current={window} /> : undefined} className="chart-half">
          {data && values.length === 0 ? (
            <p className="empty-line">{t('chart.noData')}</p>
          ) : (
            <LazyChart
              name={name}
              label={`${t(`workers.${name}`)} ${id}`}
              at={data ? stepEnds(data, values.length) : []}
              curves={[{ name, label: unit, color: 'var(--accent)', values }]}
              kind="areas"
              marks={marks}
              height={130}
              least={least}
              format={(value) => i18n.number(Math.round(value))}
              axisFormat={i18n.short}
              onPick={open}
            />
          )}
        </Panel>
      ))}
    </div>
  )
}
