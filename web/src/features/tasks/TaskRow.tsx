import { Link } from '@tanstack/react-router'
import { memo, type MouseEvent } from 'react'
import { StateBadge } from '@/components/StateBadge'
import { Ago, useServerNow } from '@/components/Time'
import type { Task } from '@/data/tasks/types'
import { priorityLabels, taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'

interface TaskRowProps {
  task: Task
  index: number
  top: number
  height: number
  /** The row that the Tab key comes to. */
  active: boolean
  chosen: boolean
  /** Shown in the panel beside the table. */
  open: boolean
  /** It no longer matches, or no longer exists. */
  left: boolean
  /** Whether opening shows it beside the table instead of on a page of its own. */
  beside: boolean
  onChoose: (id: string, range: boolean) => void
  onActivate: (id: string) => void
}

export const TaskRow = memo(function TaskRow({ task, index, top, height, active, chosen, open, left, beside, onChoose, onActivate }: TaskRowProps) {
  const { t, number } = useI18n()
  const tab = active ? 0 : -1
  const choose = (event: MouseEvent) => onChoose(task.id, event.shiftKey)
  return (
    <div
      className="grid-row"
      role="row"
      aria-rowindex={index + 2}
      aria-selected={chosen}
      data-open={open}
      data-left={left}
      title={left ? t('tasks.left') : undefined}
      style={{ transform: `translateY(${top}px)`, height }}
      data-testid={`task-${task.id}`}
      onFocus={() => onActivate(task.id)}
    >
      <span role="gridcell" className="cell-choose">
        <input type="checkbox" checked={chosen} tabIndex={tab} aria-label={t('tasks.choose', { id: task.id })} onChange={() => undefined} onClick={choose} />
      </span>
      <span role="gridcell" className="cell-id">
        {beside ? (
          <Link to="/ui/tasks" search={(now) => ({ ...now, open: task.id })} replace={open} resetScroll={false} tabIndex={tab} activeProps={{}}>{task.id}</Link>
        ) : (
          <Link to="/ui/tasks/$id" params={{ id: task.id }} tabIndex={tab}>{task.id}</Link>
        )}
      </span>
      <span role="gridcell" className="cell-type" title={task.type}>{task.type}</span>
      <span role="gridcell" className="cell-priority" data-priority={task.priority}>{t(priorityLabels[task.priority])}</span>
      <span role="gridcell" className="cell-status">
        <StateBadge state={taskStates[task.status]} />
        {task.status === 'inProgress' && task.progress?.percent != null && <span className="muted progress-note">{number(Math.round(task.progress.percent))} %</span>}
      </span>
      <span role="gridcell" className="cell-retries number">{task.retries === 0 ? <span className="muted">0</span> : number(task.retries)}</span>
      <span role="gridcell" className="cell-time number"><RunTime task={task} /></span>
      <span role="gridcell" className="cell-worker">{task.worker ?? <span className="muted">{t('common.dash')}</span>}</span>
      <span role="gridcell" className="cell-submitted number">
        <Ago at={task.submittedAt} />
      </span>
    </div>
  )
})

/** How long the latest attempt took; for one that runs, how long it has so far. */
function RunTime({ task: { status, executionTimeMs, startedAt } }: { task: Task }) {
  const { t, number } = useI18n()
  if (status === 'inProgress' && startedAt !== null) return <Running since={startedAt} />
  return executionTimeMs === null ? <span className="muted">{t('common.dash')}</span> : number(Math.round(executionTimeMs))
}

function Running({ since }: { since: number }) {
  const { number } = useI18n()
  const now = useServerNow()
  return <span className="muted">{number(Math.max(0, Math.floor((now - since) / 1000) * 1000))}</span>
}
