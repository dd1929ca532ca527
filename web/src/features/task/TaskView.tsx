import '@/styles/task.css'
import { useQuery } from '@tanstack/react-query'
import { useEffect, type ReactNode } from 'react'
import { CopyButton } from '@/components/CopyButton'
import { ErrorNote } from '@/components/errors'
import { Icon } from '@/components/Icon'
import { JsonView } from '@/components/JsonView'
import { Panel } from '@/components/Panel'
import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import { ProblemError } from '@/data/request'
import { taskQuery } from '@/data/tasks/queries'
import type { TaskDetail } from '@/data/tasks/types'
import { isOpen, taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { isKey } from '@/i18n/translate'
import { Attempts } from './Attempts'
import { Details } from './Details'
import { History } from './History'
import { Logs } from './Logs'
import { Progress } from './Progress'
import { TaskActions } from './TaskActions'
import { Timeline } from './Timeline'

interface TaskViewProps {
  id: string
  /** One column: beside a list. */
  narrow?: boolean
  /** Its heading: the title of the page, or of a part of one. */
  heading: 'h1' | 'h2'
  /** Stands beside the id. */
  aside?: ReactNode
  onDeleted: () => void
}

/** Where is my task, why did it fail, run it again. */
export function TaskView({ id, narrow = false, heading, aside, onDeleted }: TaskViewProps) {
  const { t } = useI18n()
  const { data, error, refetch } = useLiveTask(id)
  if (error instanceof ProblemError && error.status === 404) return <NotFound id={id} heading={heading} aside={aside} />
  return (
    <>
      {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {data ? (
        <Task task={data} narrow={narrow} heading={heading} aside={aside} onDeleted={onDeleted} />
      ) : (
        !error && <p className="empty-line" role="status">{t('common.loading')}</p>
      )}
    </>
  )
}

function NotFound({ id, heading: Heading, aside }: { id: string; heading: 'h1' | 'h2'; aside: ReactNode }) {
  const { t } = useI18n()
  return (
    <div className="empty">
      <div className="task-head">
        <Heading>{t('task.notFound', { id })}</Heading>
        {aside}
      </div>
      <p className="muted">{t('task.notFoundHint')}</p>
    </div>
  )
}

/** The task as read, with what the live store knows since; read again whenever that changes. */
function useLiveTask(id: string) {
  const { data, error, refetch, isFetching } = useQuery(taskQuery(id))
  const live = useLive((picture) => picture.tasks.get(id))
  // An answer says nothing of what changed while it was on its way.
  const newer = live && data && live.changedAt >= data.askedAt
  useEffect(() => {
    if (newer && !isFetching) void refetch()
  }, [newer, isFetching, refetch])
  return { data: data && newer ? { ...data, ...live.task } : data, error, refetch }
}

interface TaskProps extends Omit<TaskViewProps, 'id'> {
  task: TaskDetail
}

function Task({ task, narrow, heading: Heading, aside, onDeleted }: TaskProps) {
  const { t } = useI18n()
  const main = (
    <>
      <Panel title={t('task.attempts')}>
        <Attempts task={task} />
      </Panel>
      <Payload task={task} />
      <Result task={task} />
      <Panel title={t('task.logs')}>
        <Logs task={task} />
      </Panel>
    </>
  )
  const more = (
    <>
      <Panel title={t('task.details')}>
        <Details task={task} />
      </Panel>
      <Panel title={t('task.history')}>
        <History task={task} />
      </Panel>
    </>
  )
  return (
    <>
      <header className="task-head">
        <Heading className="task-id">
          {task.id}
          <CopyButton text={task.id} label={`${t('empty.copy')}: ${task.id}`} className="button-plain task-copy" />
        </Heading>
        {aside}
        <div className="task-sub">
          <StateBadge state={taskStates[task.status]} strong />
          <span className="muted">{task.type}</span>
          <TaskActions task={task} onDeleted={onDeleted} />
        </div>
      </header>
      <Progress task={task} />
      {task.status !== 'completed' && task.error && <Failure task={task} />}
      <Panel title={t('task.timeline')}>
        <Timeline task={task} />
      </Panel>
      {narrow ? (
        <>
          {main}
          {more}
        </>
      ) : (
        <div className="task-columns">
          <div>{main}</div>
          <div>{more}</div>
        </div>
      )}
    </>
  )
}

/** Why it failed, or what the last attempt failed with while another is to come. */
function Failure({ task: { error, status } }: { task: TaskDetail }) {
  const { t } = useI18n()
  if (!error) return null
  const code = error.code ? `error.${error.code}` : ''
  const state = status === 'failed' ? taskStates.failed : taskStates.retrying
  return (
    <p className="task-error" role="note" data-final={status === 'failed'}>
      <Icon name={state.icon} style={{ color: state.color }} />
      <span>
        {isKey(code) && error.code !== 'handler' && <b>{t(code)}: </b>}
        {error.message}
      </span>
    </p>
  )
}

function Payload({ task }: { task: TaskDetail }) {
  const { t } = useI18n()
  return <Panel title={t('task.payload')}>{task.payloadExpired ? <p className="empty-line">{t('task.payloadExpired')}</p> : <JsonView label={t('task.payload')} text={task.payload} />}</Panel>
}

function Result({ task }: { task: TaskDetail }) {
  const { t } = useI18n()
  const there = task.status === 'completed' || task.result !== 'null'
  return <Panel title={t('task.result')}>{there ? <JsonView label={t('task.result')} text={task.result} /> : <p className="empty-line">{t(isOpen(task.status) ? 'task.noResult' : 'task.endedWithoutResult')}</p>}</Panel>
}
