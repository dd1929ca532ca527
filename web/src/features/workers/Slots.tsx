import { Link } from '@tanstack/react-router'
import type { Worker } from '@/data/workers/types'
import { useI18n } from '@/i18n/context'

const mostDots = 16
const mostTasks = 2

/** Slots as small boxes, filled where a task runs. */
export function Slots({ used, all }: { used: number; all: number }) {
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
      <span>{label}</span>
    </span>
  )
}

/** The tasks that run now, as links; in a row only the first ones. */
export function RunningTasks({ worker }: { worker: Worker }) {
  const { t } = useI18n()
  const { id, tasks } = worker
  if (tasks.length === 0) return <span className="muted">{t('common.dash')}</span>
  const more = tasks.length - mostTasks
  return (
    <span className="running-tasks">
      {tasks.slice(0, mostTasks).map((task) => (
        <Link key={task} to="/ui/tasks/$id" params={{ id: task }}>
          {task}
        </Link>
      ))}
      {more > 0 && (
        <Link to="/ui/tasks" search={{ worker: id, status: 'inProgress' }} className="muted">
          {t('workers.more', { n: more })}
        </Link>
      )}
    </span>
  )
}
