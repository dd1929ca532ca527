import { Link } from '@tanstack/react-router'
import { StateBadge } from '@/components/StateBadge'
import { useServerNow } from '@/components/Time'
import type { EndedWorker, Worker } from '@/data/workers/types'
import { workerStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { useNow } from '@/lib/now'

const columns: { label: Key; className?: string }[] = [
  { label: 'workers.id' },
  { label: 'workers.status' },
  { label: 'workers.cpu', className: 'number' },
  { label: 'workers.memory', className: 'number' },
  { label: 'workers.assigned', className: 'number' },
  { label: 'workers.heartbeat', className: 'after-number' },
  { label: 'workers.pool' },
  { label: 'workers.slots' },
]
/** A heartbeat this old is late: the default interval is a second. */
const lateMs = 3000

export function WorkerTable({ living, ended }: { living: Worker[]; ended: EndedWorker[] }) {
  const { t } = useI18n()
  return (
    <div className="scroll-x">
      <table className="plain worker-table">
        <thead>
          <tr>
            {columns.map(({ label, className }) => (
              <th key={label} scope="col" className={className}>
                {t(label)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {living.map((worker) => (
            <LivingRow key={worker.id} worker={worker} />
          ))}
          {ended.map((worker) => (
            <EndedRow key={worker.id} worker={worker} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function LivingRow({ worker }: { worker: Worker }) {
  const i18n = useI18n()
  const { t, number } = i18n
  const now = useNow()
  const { heartbeatAt, concurrency } = worker
  const late = heartbeatAt !== null && now - heartbeatAt > lateMs
  const rounded = (value: number | null) => (value === null ? t('common.dash') : number(Math.round(value)))
  return (
    <tr data-testid={worker.id}>
      <th scope="row">
        <Link to="/ui/events" search={{ worker: worker.id }}>{worker.id}</Link>
      </th>
      <td>
        <StateBadge state={workerStates[worker.status]} />
      </td>
      <td className="number" data-label={t('workers.cpu')}>{worker.cpuPercent === null ? t('common.dash') : `${rounded(worker.cpuPercent)} %`}</td>
      <td className="number" data-label={t('workers.memory')}>{rounded(worker.memoryMb)}</td>
      <td className="number" data-label={t('workers.assigned')}>
        <Link to="/ui/tasks" search={{ worker: worker.id, status: 'inProgress' }}>{number(worker.assignedTasks)}</Link>
      </td>
      <td className={late ? 'after-number late' : 'after-number'} data-label={t('workers.heartbeat')}>{heartbeatAt === null ? t('common.dash') : i18n.relative(heartbeatAt, now)}</td>
      <td>{worker.pool}</td>
      <td>{concurrency === null ? t('common.dash') : <Slots used={worker.assignedTasks} all={concurrency} />}</td>
    </tr>
  )
}

function EndedRow({ worker }: { worker: EndedWorker }) {
  const i18n = useI18n()
  const { t } = i18n
  const now = useServerNow()
  return (
    <tr className="ended" data-testid={worker.id}>
      <th scope="row">
        <s>
          <Link to="/ui/events" search={{ worker: worker.id }}>{worker.id}</Link>
        </s>
      </th>
      <td>
        <StateBadge state={workerStates.ended} />
      </td>
      <td colSpan={4}>
        {t('workers.endedAgo', { ago: i18n.relative(worker.endedAt, now) })}
        {worker.reason && `: ${worker.reason}`}
      </td>
      <td>
        <s>{worker.pool}</s>
      </td>
      <td />
    </tr>
  )
}

const mostDots = 16

function Slots({ used, all }: { used: number; all: number }) {
  const { t } = useI18n()
  const label = t('workers.slotsOf', { used, all })
  return (
    <span className="slots" title={label}>
      {all <= mostDots && (
        <span className="slots-dots" aria-hidden="true">
          {Array.from({ length: all }, (_, i) => (
            <i key={i} data-used={i < used} />
          ))}
        </span>
      )}
      <span className="muted">{label}</span>
    </span>
  )
}
