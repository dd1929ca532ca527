import { Link } from '@tanstack/react-router'
import { memo, useEffect } from 'react'
import { Icon } from '@/components/Icon'
import { StateBadge } from '@/components/StateBadge'
import { Ago } from '@/components/Time'
import { useVirtualRows } from '@/components/useVirtualRows'
import type { Task, TaskSort } from '@/data/tasks/types'
import { priorityLabels, taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { useNarrow } from '@/lib/media'

interface TaskTableProps {
  rows: Task[]
  sort: TaskSort
  loadingMore: boolean
  /** The last rows came into view. */
  onEnd: () => void
}

const columns: { label: Key; sort?: 'submittedAt' | 'priority' | 'executionTimeMs'; number?: boolean }[] = [
  { label: 'col.id' },
  { label: 'col.type' },
  { label: 'col.priority', sort: 'priority' },
  { label: 'col.status' },
  { label: 'col.retries', number: true },
  { label: 'col.time', sort: 'executionTimeMs', number: true },
  { label: 'col.worker' },
  { label: 'col.submitted', sort: 'submittedAt', number: true },
]

/** Only the rows in view are in the page, so a hundred thousand scroll like ten. */
export function TaskTable({ rows, sort, loadingMore, onEnd }: TaskTableProps) {
  const { t } = useI18n()
  const rowHeight = useNarrow() ? 54 : 30
  const { listRef, totalHeight, rows: shown } = useVirtualRows(rows.length, rowHeight, (index) => rows[index]?.id ?? String(index))
  const lastShown = shown[shown.length - 1]?.index ?? 0
  useEffect(() => {
    if (lastShown >= rows.length - 15) onEnd()
  }, [lastShown, rows.length, onEnd])
  return (
    <div className="grid task-grid" role="table" aria-label={t('tasks.label')} aria-rowcount={rows.length + 1}>
      <div className="grid-head" role="row">
        {columns.map((column) => (
          <span key={column.label} role="columnheader" className={column.number ? 'number' : undefined} aria-sort={ariaSort(column.sort, sort)}>
            {column.sort ? <SortLink column={column.sort} label={t(column.label)} sort={sort} /> : t(column.label)}
          </span>
        ))}
      </div>
      <div ref={listRef} role="rowgroup" className="grid-rows" style={{ height: totalHeight }}>
        {shown.map(({ key, index, top }) => {
          const task = rows[index]
          return task && <TaskRow key={key} task={task} index={index} top={top} height={rowHeight} />
        })}
      </div>
      {loadingMore && <p className="empty-line">{t('tasks.loadingMore')}</p>}
    </div>
  )
}

function ariaSort(column: string | undefined, sort: TaskSort): 'ascending' | 'descending' | undefined {
  if (column === sort) return 'ascending'
  return column !== undefined && `-${column}` === sort ? 'descending' : undefined
}

function SortLink({ column, label, sort }: { column: 'submittedAt' | 'priority' | 'executionTimeMs'; label: string; sort: TaskSort }) {
  const { t } = useI18n()
  const next: TaskSort = sort === `-${column}` ? column : `-${column}`
  const active = sort === column || sort === `-${column}`
  return (
    <Link to="/ui/tasks" search={(now) => ({ ...now, sort: next === '-submittedAt' ? undefined : next })} replace title={t('sort.by', { column: label })} activeProps={{}}>
      {label}
      {active && <Icon name={sort.startsWith('-') ? 'down' : 'up'} size={11} />}
    </Link>
  )
}

const TaskRow = memo(function TaskRow({ task, index, top, height }: { task: Task; index: number; top: number; height: number }) {
  const { t, number } = useI18n()
  return (
    <div className="grid-row" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)`, height }} data-testid={`task-${task.id}`}>
      <span role="cell" className="cell-id">
        <Link to="/ui/tasks/$id" params={{ id: task.id }}>{task.id}</Link>
      </span>
      <span role="cell" className="cell-type">{task.type}</span>
      <span role="cell" className="cell-priority">{t(priorityLabels[task.priority])}</span>
      <span role="cell" className="cell-status">
        <StateBadge state={taskStates[task.status]} />
        {task.status === 'inProgress' && task.progress?.percent != null && <span className="muted progress-note">{number(Math.round(task.progress.percent))} %</span>}
      </span>
      <span role="cell" className="cell-retries number">{task.retries}</span>
      <span role="cell" className="cell-time number">{task.executionTimeMs === null ? <span className="muted">{t('common.dash')}</span> : number(Math.round(task.executionTimeMs))}</span>
      <span role="cell" className="cell-worker">{task.worker ?? <span className="muted">{t('common.dash')}</span>}</span>
      <span role="cell" className="cell-submitted number">
        <Ago at={task.submittedAt} />
      </span>
    </div>
  )
})
