import '@/styles/tasks.css'
import { Link, Navigate, useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useEffect, useState, type KeyboardEvent, type ReactNode } from 'react'
import { ErrorNote } from '@/components/errors'
import { Icon } from '@/components/Icon'
import { NoTasks } from '@/components/NoTasks'
import { useMay } from '@/data/access'
import { useLive, usePaused } from '@/data/live/hooks'
import { isFiltered } from '@/data/tasks/filter'
import type { TaskFilter } from '@/data/tasks/types'
import { useTaskList } from '@/data/tasks/useTaskList'
import { useI18n } from '@/i18n/context'
import { useWide } from '@/lib/media'
import { ListBar } from './ListBar'
import { SearchBar } from './SearchBar'
import { everything, extend, nothing, toggle, type Selection } from './selection.model'
import { StatusTabs } from './StatusTabs'
import { tagsOf } from './tags.model'
import { TaskTable } from './TaskTable'

/** Browsers cannot scroll through an element of any height; who looks for more narrows the search. */
const mostListed = 300_000

/** `panel` shows a task beside the list, where the window is wide enough. */
export function TasksPage({ panel }: { panel: (id: string, onClose: () => void) => ReactNode }) {
  const { t } = useI18n()
  const navigate = useNavigate({ from: '/ui/tasks' })
  const { sort = '-submittedAt', follow, open, ...filter } = useSearch({ from: '/ui/tasks' })
  const { list, state } = useTaskList(filter, sort)
  const systemTotal = useLive((picture) => picture.stats.tasks.total)
  const [selection, select] = useSelection(list)
  const following = useFollowing(list, follow === '1' || state.rows.length === 0)
  const wide = useWide()
  const maySubmit = useMay('submit')
  const { rows, total, complete, error, left } = state

  const setFilter = (next: TaskFilter) => void navigate({ search: (now) => ({ ...next, sort: now.sort, follow: now.follow, open: now.open }) })
  const close = useCallback(() => void navigate({ search: ({ open: _, ...now }) => now, resetScroll: false }), [navigate])
  const choose = useCallback((id: string, range: boolean) => select((now) => (range ? extend : toggle)(now, id, list.getState().rows)), [select, list])
  const { setView } = following
  const view = useCallback(
    (from: number, to: number) => {
      list.view(from, to)
      list.reach(to + 50)
      setView(from)
    },
    [list, setView],
  )
  const show = () => {
    void list.show()
    window.scrollTo({ top: 0 })
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && open && !event.defaultPrevented && !document.querySelector(':popover-open, dialog[open]')) close()
  }
  if (open && !wide) return <Navigate to="/ui/tasks/$id" params={{ id: open }} replace />

  const filtered = isFiltered(filter)
  const count = complete ? rows.length : Math.min(mostListed, Math.max(rows.length, total ?? 0))
  return (
    <div className="page tasks" onKeyDown={onKeyDown}>
      <title>{`${t('nav.tasks')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.tasks')}</h1>
      <div className="toolbar">
        <SearchBar filter={filter} tags={() => tagsOf(list.getState().rows)} onChange={setFilter} />
        <Link to="/ui/tasks" search={(now) => ({ ...now, follow: follow ? undefined : '1' })} replace className="toggle" aria-pressed={follow === '1'} role="button" title={t('tasks.followHint')} activeProps={{}}>
          {t('tasks.follow')}
        </Link>
        {maySubmit && (
          <Link to="/ui/submit" className="button button-primary">
            <Icon name="plus" size={12} />
            {t('tasks.submit')}
          </Link>
        )}
      </div>
      <StatusTabs filter={filter} />
      <div className="tasks-split" data-open={open !== undefined}>
        <div className="tasks-list">
          <ListBar filter={filter} state={state} selection={selection} following={following.now} onFilter={setFilter} onShow={show} onSelectAll={() => select(() => everything)} onClear={() => select(() => nothing)} />
          {error !== null && <ErrorNote error={error} onRetry={() => void list.restart()} />}
          {total === null && error === null && <p className="empty-line" role="status">{t('common.loading')}</p>}
          {total !== null && rows.length === 0 && (filtered || systemTotal !== 0 ? <NoMatch filtered={filtered} /> : <NoTasks />)}
          {rows.length > 0 && (
            <TaskTable rows={rows} indexOf={list.indexOf} count={count} sort={sort} selection={selection} left={left} open={open} beside={wide} onChoose={choose} onChooseAll={() => select((now) => (now.all ? nothing : everything))} onView={view} />
          )}
          {!complete && rows.length >= mostListed && <p className="empty-line">{t('tasks.onlyFirst', { n: mostListed })}</p>}
        </div>
        {open !== undefined && panel(open, close)}
      </div>
    </div>
  )
}

function NoMatch({ filtered }: { filtered: boolean }) {
  const { t } = useI18n()
  return (
    <p className="empty-line">
      {t('tasks.none')} {filtered && <Link to="/ui/tasks">{t('tasks.clear')}</Link>}
    </p>
  )
}

/** A selection is of one list: another filter begins with nothing selected. */
function useSelection(list: object): [Selection, (change: (now: Selection) => Selection) => void] {
  const [held, setHeld] = useState({ list, selection: nothing })
  const select = useCallback((change: (now: Selection) => Selection) => setHeld((now) => ({ list, selection: change(now.list === list ? now.selection : nothing) })), [list])
  return [held.list === list ? held.selection : nothing, select]
}

/** The list follows while asked to and while its first rows are in view: rows that are read do not move. */
function useFollowing(list: { follow: (on: boolean) => void }, wanted: boolean) {
  const paused = usePaused()
  const [from, setView] = useState(0)
  const now = wanted && from <= 1
  useEffect(() => list.follow(now), [list, now])
  return { now: now && !paused, setView }
}
