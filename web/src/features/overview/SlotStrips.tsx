import { Link } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { Panel } from '@/components/Panel'
import { useLive } from '@/data/live/hooks'
import type { Worker } from '@/data/workers/types'
import { workerStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'

const mostSlots = 16

/** One strip a worker, its slots filled: how full the system is, at a glance. */
export function SlotStrips() {
  const { t } = useI18n()
  const workers = useLive((data) => data.workers)
  const all = [...(workers?.values() ?? [])].sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))
  const used = all.reduce((sum, worker) => sum + worker.assignedTasks, 0)
  const slots = all.reduce((sum, worker) => sum + (worker.concurrency ?? 0), 0)
  return (
    <Panel title={t('overview.slots')} className="chart-wide" aside={<span className="muted">{t('workers.slotsOf', { used, all: slots })}</span>}>
      {all.length === 0 ? (
        <p className="empty-line">{t('workers.none')}</p>
      ) : (
        <ul className="slot-strips">
          {all.map((worker) => (
            <Strip key={worker.id} worker={worker} />
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Strip({ worker }: { worker: Worker }) {
  const { t } = useI18n()
  const { id, status, assignedTasks: used } = worker
  const all = Math.max(worker.concurrency ?? 0, used)
  const state = workerStates[status]
  return (
    <li>
      <Link to="/ui/workers/$id" params={{ id }} aria-label={`${id}, ${t(state.label)}, ${t('workers.slotsOf', { used, all })}`} title={t(state.label)}>
        <Icon name={state.icon} size={12} style={{ color: state.color }} />
        <span className="slot-name">{id}</span>
        {all <= mostSlots ? (
          <span className="slots-dots">
            {Array.from({ length: all }, (_, i) => (
              <i key={i} data-used={i < used} />
            ))}
          </span>
        ) : (
          <span className="slot-count">
            {used}/{all}
          </span>
        )}
      </Link>
    </li>
  )
}
