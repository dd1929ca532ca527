import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useMemo } from 'react'
import { ErrorNote } from '@/components/errors'
import { NoTasks } from '@/components/NoTasks'
import { useLive } from '@/data/live/hooks'
import type { LiveTask } from '@/data/live/model'
import { taskListQuery } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'
import { BulkActions } from './BulkActions'
import { overlay, unseen } from './live.model'
import { SearchBar } from './SearchBar'
import { StatusTabs } from './StatusTabs'
import { TaskTable } from './TaskTable'

const nothingLive: ReadonlyMap<string, LiveTask> = new Map()
/** While following, the list is read again at most this often. */
const followEveryMs = 1000

export function TasksPage() {
  const i18n = useI18n()
  const { t } = i18n
  const navigate = useNavigate({ from: '/ui/tasks' })
  const { sort = '-submittedAt', follow, ...filter } = useSearch({ from: '/ui/tasks' })
  const { data, error, refetch, isFetching, isFetchingNextPage, hasNextPage, fetchNextPage, dataUpdatedAt } = useInfiniteQuery(taskListQuery(filter, sort))
  const live = useLive((picture) => picture.tasks) ?? nothingLive
  const systemTotal = useLive((picture) => picture.stats.tasks.total)

  const listed = useMemo(() => data?.pages.flatMap((page) => page.tasks) ?? [], [data])
  const rows = useMemo(() => overlay(listed, live, dataUpdatedAt), [listed, live, dataUpdatedAt])
  const fresh = data ? unseen(listed, live, dataUpdatedAt, filter, sort, !hasNextPage) : 0
  const total = data?.pages[0]?.total

  // Following, or nothing shown that could jump: what is new is read at once.
  const eager = follow === '1' || listed.length === 0
  useEffect(() => {
    if (!eager || fresh === 0 || isFetching) return
    const timer = setTimeout(() => void refetch(), Math.max(0, followEveryMs - (Date.now() - dataUpdatedAt)))
    return () => clearTimeout(timer)
  }, [eager, fresh, isFetching, refetch, dataUpdatedAt])

  const setFilter = (next: TaskFilter) => void navigate({ search: (now) => ({ ...next, sort: now.sort, follow: now.follow }) })
  const filtered = Object.values(filter).some(Boolean)
  return (
    <div className="page tasks">
      <title>{`${t('nav.tasks')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.tasks')}</h1>
      <div className="toolbar">
        <SearchBar filter={filter} onChange={setFilter} />
        <Link to="/ui/tasks" search={(now) => ({ ...now, follow: follow ? undefined : '1' })} replace className="toggle" aria-pressed={follow === '1'} role="button" title={t('tasks.followHint')} activeProps={{}}>
          {t('tasks.follow')}
        </Link>
      </div>
      <StatusTabs filter={filter} />
      <div className="list-line">
        <span className="muted" data-testid="task-total">{total === undefined ? '' : t('tasks.count', { n: total })}</span>
        {fresh > 0 && !eager && (
          <button type="button" className="button button-small button-new" onClick={() => void refetch()}>
            {t('tasks.new', { n: fresh })}
          </button>
        )}
        <span className="space" />
        {filtered && total !== undefined && total > 0 && <BulkActions filter={filter} />}
        {filtered && <Link to="/ui/tasks">{t('tasks.clear')}</Link>}
      </div>
      {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {data && rows.length === 0 && (filtered || systemTotal !== 0 ? <p className="empty-line">{t('tasks.none')}</p> : <NoTasks />)}
      {rows.length > 0 && (
        <TaskTable rows={rows} sort={sort} loadingMore={isFetchingNextPage} onEnd={() => hasNextPage && !isFetchingNextPage && void fetchNextPage()} />
      )}
      {!data && !error && <p className="empty-line">{t('common.loading')}</p>}
    </div>
  )
}
