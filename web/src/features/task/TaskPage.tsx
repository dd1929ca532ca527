import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useEffect } from 'react'
import { EventRow } from '@/components/EventRow'
import { ErrorNote } from '@/components/errors'
import { Icon } from '@/components/Icon'
import { Json } from '@/components/Json'
import { Panel } from '@/components/Panel'
import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import { ProblemError } from '@/data/request'
import { taskQuery } from '@/data/tasks/queries'
import type { TaskDetail } from '@/data/tasks/types'
import { isOpen, taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { Attempts } from './Attempts'
import { Details } from './Details'
import { Logs } from './Logs'
import { Progress } from './Progress'
import { TaskActions } from './TaskActions'
import { Timeline } from './Timeline'

/** Where is my task, why did it fail, run it again. */
export function TaskPage() {
  const { t } = useI18n()
  const { id } = useParams({ from: '/ui/tasks/$id' })
  const { data, error, refetch } = useLiveTask(id)
  return (
    <div className="page task-page">
      <title>{`${id} · ${t('app.name')}`}</title>
      <Link to="/ui/tasks" className="back">
        <Icon name="back" size={12} />
        {t('task.back')}
      </Link>
      {error instanceof ProblemError && error.status === 404 ? (
        <div className="empty">
          <h1>{t('task.notFound', { id })}</h1>
          <p className="muted">{t('task.notFoundHint')}</p>
        </div>
      ) : (
        <>
          {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
          {data ? <Task task={data} /> : !error && <p className="empty-line">{t('common.loading')}</p>}
        </>
      )}
    </div>
  )
}

/** The task as read, with what the live store knows since; read again whenever that changes. */
function useLiveTask(id: string) {
  const { data, error, refetch, dataUpdatedAt, isFetching } = useQuery(taskQuery(id))
  const live = useLive((picture) => picture.tasks.get(id))
  const newer = live && live.changedAt > dataUpdatedAt
  useEffect(() => {
    if (newer && !isFetching) void refetch()
  }, [newer, isFetching, refetch])
  return { data: data && newer ? { ...data, ...live.task } : data, error, refetch }
}

function Task({ task }: { task: TaskDetail }) {
  const { t } = useI18n()
  return (
    <>
      <header className="task-head">
        <h1>{task.id}</h1>
        <StateBadge state={taskStates[task.status]} strong />
        <span className="muted">{task.type}</span>
        <TaskActions task={task} />
      </header>
      <Progress task={task} />
      {task.status === 'failed' && task.error && (
        <p className="task-error" role="note">
          <Icon name="cross" style={{ color: taskStates.failed.color }} />
          {task.error.message}
        </p>
      )}
      <Panel title={t('task.timeline')}>
        <Timeline task={task} />
      </Panel>
      <div className="task-columns">
        <div>
          <Panel title={t('task.attempts')}>
            <Attempts task={task} />
          </Panel>
          <Panel title={t('task.payload')}>
            {task.payloadExpired ? <p className="empty-line">{t('task.payloadExpired')}</p> : <Json label={t('task.payload')} text={task.payload} />}
          </Panel>
          <Panel title={t('task.result')}>{task.status === 'completed' || task.result !== 'null' ? <Json label={t('task.result')} text={task.result} /> : <p className="empty-line">{t(isOpen(task.status) ? 'task.noResult' : 'task.endedWithoutResult')}</p>}</Panel>
          <Panel title={t('task.logs')}>
            <Logs task={task} />
          </Panel>
        </div>
        <div>
          <Panel title={t('task.details')}>
            <Details task={task} />
          </Panel>
          <Panel title={t('task.history')}>
            {task.historyTruncated && <p className="muted empty-line">{t('task.truncated')}</p>}
            <div className="event-list event-list-narrow" role="table" aria-label={t('task.history')}>
              {task.history.map((event) => (
                <div key={event.seq} className="event-row" role="row">
                  <EventRow event={event} />
                </div>
              ))}
            </div>
          </Panel>
        </div>
      </div>
    </>
  )
}
