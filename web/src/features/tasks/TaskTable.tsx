import { Link } from '@tanstack/react-router'
import { useEffect, useRef, useState, type KeyboardEvent } from 'react'
import { Icon } from '@/components/Icon'
import { useVirtualRows } from '@/components/useVirtualRows'
import type { Task, TaskSort } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { useNarrow } from '@/lib/media'
import { isChosen, type Selection } from './selection.model'
import { TaskRow } from './TaskRow'

interface TaskTableProps {
  rows: readonly Task[]
  indexOf: (id: string) => number | undefined
  /** How many rows there are with those that are not read yet. */
  count: number
  sort: TaskSort
  selection: Selection
  left: ReadonlySet<string>
  open: string | undefined
  beside: boolean
  onChoose: (id: string, range: boolean) => void
  onChooseAll: () => void
  /** First and last row in view. */
  onView: (from: number, to: number) => void
}

type Sortable = 'submittedAt' | 'priority' | 'executionTimeMs'
const columns: { label: Key; sort?: Sortable; number?: boolean }[] = [
  { label: 'col.id' },
  { label: 'col.type' },
  { label: 'col.priority', sort: 'priority' },
  { label: 'col.status' },
  { label: 'col.retries', number: true },
  { label: 'col.time', sort: 'executionTimeMs', number: true },
  { label: 'col.worker' },
  { label: 'col.submitted', sort: 'submittedAt', number: true },
]
/** What sticks at the top of the window above the rows: bar, line of the list, head. */
const coveredPx = 122
const pageRows = 20

/**
 * Only the rows in view are in the page, so a hundred thousand scroll like ten. One row is
 * the active one: Tab comes to it, arrows move it, Space chooses it.
 */
export function TaskTable({ rows, indexOf, count, sort, selection, left, open, beside, onChoose, onChooseAll, onView }: TaskTableProps) {
  const { t } = useI18n()
  const rowHeight = useNarrow() ? 54 : 30
  // By id, so that it stays the same task when others come before it.
  const [activeId, setActiveId] = useState<string | null>(null)
  const active = (activeId === null ? undefined : indexOf(activeId)) ?? 0
  const { listRef, totalHeight, rows: shown, range, scrollTo } = useVirtualRows(count, rowHeight, (index) => rows[index]?.id ?? `row-${index}`, { pinned: active, covered: coveredPx })
  const { focusRow, grid } = useRowFocus()
  const { startIndex, endIndex } = range
  useEffect(() => onView(startIndex, endIndex), [startIndex, endIndex, count, onView])

  const move = (to: number, range: boolean) => {
    const next = Math.max(0, Math.min(rows.length - 1, to))
    const task = rows[next]
    if (range && task) onChoose(task.id, true)
    setActiveId(task?.id ?? null)
    scrollTo(next)
    focusRow(next)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: pageRows, PageUp: -pageRows, Home: -active, End: rows.length - 1 - active }
    const step = steps[event.key]
    const task = rows[active]
    if (step !== undefined) {
      event.preventDefault()
      move(active + step, event.shiftKey)
    } else if (event.key === ' ' && task) {
      event.preventDefault()
      onChoose(task.id, event.shiftKey)
    }
  }
  return (
    <div ref={grid} className="grid task-grid" role="grid" aria-label={t('tasks.label')} aria-rowcount={count + 1} aria-multiselectable="true">
      <div className="grid-head" role="row">
        <span role="columnheader" className="cell-choose">
          <input type="checkbox" checked={selection.all} aria-label={t('tasks.chooseAll')} onChange={onChooseAll} />
        </span>
        {columns.map((column) => (
          <span key={column.label} role="columnheader" className={column.number ? 'number' : undefined} aria-sort={ariaSort(column.sort, sort)}>
            {column.sort ? <SortLink column={column.sort} label={t(column.label)} sort={sort} /> : t(column.label)}
          </span>
        ))}
      </div>
      <div ref={listRef} role="rowgroup" className="grid-rows" style={{ height: totalHeight }} onKeyDown={onKeyDown}>
        {shown.map(({ key, index, top }) => {
          const task = rows[index]
          return task ? (
            <TaskRow key={key} task={task} index={index} top={top} height={rowHeight} active={index === active} chosen={isChosen(selection, task.id)} open={task.id === open} left={left.has(task.id)} beside={beside} onChoose={onChoose} onActivate={setActiveId} />
          ) : (
            <div key={key} className="grid-row grid-row-unread" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)`, height: rowHeight }}>
              <span role="gridcell">
                <i />
              </span>
            </div>
          )
        })}
      </div>
    </div>
  )
}

/** Gives the focus to a row's link once the row is in the page. */
function useRowFocus() {
  const grid = useRef<HTMLDivElement>(null)
  const wanted = useRef<number | null>(null)
  useEffect(() => {
    if (wanted.current === null) return
    const link = grid.current?.querySelector<HTMLElement>(`[aria-rowindex="${wanted.current + 2}"] .cell-id a`)
    if (!link) return
    wanted.current = null
    link.focus({ preventScroll: true })
  })
  return {
    grid,
    focusRow: (index: number) => {
      wanted.current = index
    },
  }
}

function ariaSort(column: string | undefined, sort: TaskSort): 'ascending' | 'descending' | undefined {
  if (column === sort) return 'ascending'
  return column !== undefined && `-${column}` === sort ? 'descending' : undefined
}

function SortLink({ column, label, sort }: { column: Sortable; label: string; sort: TaskSort }) {
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
