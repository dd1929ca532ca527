import { useInfiniteQuery } from '@tanstack/react-query'
import { ErrorNote } from '@/components/errors'
import { Clock } from '@/components/Time'
import { taskLogsQuery } from '@/data/tasks/queries'
import type { TaskDetail } from '@/data/tasks/types'
import { isOpen } from '@/domain/states'
import { useI18n } from '@/i18n/context'

/** While the task runs its log is read every two seconds; logs do not travel over the WebSocket. */
export function Logs({ task: { id, status } }: { task: TaskDetail }) {
  const { t } = useI18n()
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({ ...taskLogsQuery(id), refetchInterval: isOpen(status) ? 2000 : false })
  if (error && !data) return <ErrorNote error={error} onRetry={() => void refetch()} />
  const lines = data?.pages.flatMap((page) => page.logs) ?? []
  if (lines.length === 0) return <p className="empty-line">{data ? t('task.noLogs') : t('common.loading')}</p>
  return (
    <>
      <ol className="logs" tabIndex={0} aria-label={t('task.logs')}>
        {lines.map((line, i) => (
          <li key={i} data-level={line.level}>
            <Clock at={line.at} />
            <span className="log-level">{line.level}</span>
            <span className="log-text">{line.message}</span>
          </li>
        ))}
      </ol>
      {hasNextPage && (
        <button type="button" className="button button-small" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('task.moreLogs')}
        </button>
      )}
    </>
  )
}
