import { Link } from '@tanstack/react-router'
import { Spark } from '@/components/charts/Spark'
import { StateBadge } from '@/components/StateBadge'
import { useServerNow } from '@/components/Time'
import { useMay } from '@/data/access'
import type { Series } from '@/data/stats/types'
import type { EndedWorker, Worker } from '@/data/workers/types'
import { sayReason } from '@/domain/reasons'
import { workerStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { Heartbeat } from './Heartbeat'
import { RunningTasks, Slots } from './Slots'
import { WorkerActions } from './WorkerActions'

const columns: { label: Key; className?: string }[] = [
  { label: 'workers.id' },
  { label: 'workers.pool' },
  { label: 'workers.status' },
  { label: 'workers.cpu', className: 'number' },
  { label: 'workers.memory', className: 'number' },
  { label: 'workers.assigned' },
  { label: 'workers.running' },
  { label: 'workers.heartbeat' },
  { label: 'workers.done', className: 'number' },
  { label: 'workers.failed', className: 'number' },
]

interface WorkerTableProps {
  living: Worker[]
  ended: EndedWorker[]
  courses: Series['workers']
  /** The top of all sparklines of memory: rows compare with each other. */
  memoryMax: number
}

export function WorkerTable({ living, ended, courses, memoryMax }: WorkerTableProps) {
  const { t } = useI18n()
  const mayAct = useMay('operate')
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('nav.workers')}>
      <table className="plain worker-table">
        <thead>
          <tr>
            {columns.map(({ label, className }) => (
              <th key={label} scope="col" className={className}>
                {t(label)}
              </th>
            ))}
            {mayAct && (
              <th scope="col">
                <span className="visually-hidden">{t('workers.actions')}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {living.map((worker) => (
            <LivingRow key={worker.id} worker={worker} course={courses[worker.id]} memoryMax={memoryMax} mayAct={mayAct} />
          ))}
          {ended.map((worker) => (
            <EndedRow key={worker.id} worker={worker} mayAct={mayAct} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface LivingRowProps {
  worker: Worker
  course: Series['workers'][string] | undefined
  memoryMax: number
  mayAct: boolean
}

function LivingRow({ worker, course, memoryMax, mayAct }: LivingRowProps) {
  const { t, number } = useI18n()
  const figure = (value: number | null, unit: string) => (value === null ? t('common.dash') : `${number(Math.round(value))}${unit}`)
  const hung = worker.status === 'hung'
  const name = (
    <Link to="/ui/workers/$id" params={{ id: worker.id }}>
      {worker.id}
    </Link>
  )
  return (
    <tr data-testid={worker.id} className={hung ? 'hung' : undefined}>
      <th scope="row">{hung ? <s>{name}</s> : name}</th>
      <td className="cell-pool">{worker.pool}</td>
      <td className="cell-state">
        <StateBadge state={workerStates[worker.status]} />
      </td>
      <td className="number" data-label={t('workers.cpu')}>
        <span className="with-spark">
          <Spark values={course?.cpuPercent ?? []} max={100} />
          {figure(worker.cpuPercent, ' %')}
        </span>
      </td>
      <td className="number" data-label={t('workers.memory')}>
        <span className="with-spark">
          <Spark values={course?.memoryMb ?? []} max={memoryMax} />
          {figure(worker.memoryMb, '')}
        </span>
      </td>
      <td className="cell-slots" data-label={t('workers.assigned')}>
        <Link to="/ui/tasks" search={{ worker: worker.id, status: 'inProgress' }}>
          {worker.concurrency === null ? number(worker.assignedTasks) : <Slots used={worker.assignedTasks} all={worker.concurrency} />}
        </Link>
      </td>
      <td className="cell-running" data-label={t('workers.running')}>
        <RunningTasks worker={worker} />
      </td>
      <td className="cell-heartbeat" data-label={t('workers.heartbeat')}>
        <Heartbeat at={worker.heartbeatAt} />
      </td>
      <td className="number" data-label={t('workers.done')}>
        <Link to="/ui/tasks" search={{ worker: worker.id, status: 'completed' }}>{figure(worker.completed, '')}</Link>
      </td>
      <td className="number" data-label={t('workers.failed')}>
        <Link to="/ui/tasks" search={{ worker: worker.id, status: 'failed' }}>{figure(worker.failed, '')}</Link>
      </td>
      {mayAct && (
        <td className="cell-actions">
          <WorkerActions worker={worker} inRow />
        </td>
      )}
    </tr>
  )
}

function EndedRow({ worker, mayAct }: { worker: EndedWorker; mayAct: boolean }) {
  const i18n = useI18n()
  const { t } = i18n
  const now = useServerNow()
  return (
    <tr className="ended" data-testid={worker.id}>
      <th scope="row">
        <s>
          <Link to="/ui/workers/$id" params={{ id: worker.id }}>{worker.id}</Link>
        </s>
      </th>
      <td className="cell-pool">
        <s>{worker.pool}</s>
      </td>
      <td className="cell-state">
        <StateBadge state={workerStates.ended} />
      </td>
      <td colSpan={7} className="cell-reason">
        {t('workers.endedAgo', { ago: i18n.relative(worker.endedAt, now) })}
        {worker.reason && `: ${sayReason(worker.reason, i18n)}`}
      </td>
      {mayAct && <td />}
    </tr>
  )
}
