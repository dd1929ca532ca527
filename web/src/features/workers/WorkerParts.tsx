import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { ErrorNote } from '@/components/errors'
import { EventRow } from '@/components/EventRow'
import { Panel } from '@/components/Panel'
import { StateBadge } from '@/components/StateBadge'
import { Ago, useServerNow } from '@/components/Time'
import { mergeEvents } from '@/data/live/model'
import { useLive } from '@/data/live/hooks'
import { eventsQuery } from '@/data/events/queries'
import { latestTasksQuery } from '@/data/tasks/latest'
import type { Worker } from '@/data/workers/types'
import { taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'

const shown = 12

/** Slot by slot what runs now. */
export function WorkerSlots({ worker }: { worker: Worker }) {
  const { t } = useI18n()
  const slots = Array.from({ length: Math.max(worker.concurrency ?? 0, worker.tasks.length) }, (_, i) => worker.tasks[i] ?? null)
  return (
    <Panel title={t('workers.running')} aside={<span className="muted">{t('workers.slotsOf', { used: worker.assignedTasks, all: slots.length })}</span>}>
      <ol className="slot-list">
        {slots.map((task, i) => (
          <li key={task ?? `free-${i}`}>
            <span className="muted">{t('workers.slot', { n: i + 1 })}</span>
            {task === null ? <span className="muted">{t('workers.free')}</span> : <Running id={task} />}
          </li>
        ))}
      </ol>
    </Panel>
  )
}

function Running({ id }: { id: string }) {
  const { t, duration } = useI18n()
  const now = useServerNow()
  const task = useLive((data) => data.tasks.get(id)?.task)
  return (
    <>
      <Link to="/ui/tasks/$id" params={{ id }}>
        {id}
      </Link>
      {task && <span>{task.type}</span>}
      {task?.startedAt != null && <span className="muted">{t('workers.for', { time: duration(Math.max(0, Math.floor((now - task.startedAt) / 1000) * 1000)) })}</span>}
      {task?.progress?.percent != null && <progress max={100} value={task.progress.percent} aria-label={t('workers.progressOf', { id })} />}
    </>
  )
}

/** The tasks it had last, whatever became of them. */
export function WorkerHistory({ id }: { id: string }) {
  const { t, duration } = useI18n()
  const { data, error, refetch } = useQuery({ ...latestTasksQuery({ worker: id }, shown), refetchInterval: 5000 })
  const tasks = data ?? []
  return (
    <Panel title={t('workers.recent')} aside={<Link to="/ui/tasks" search={{ worker: id }}>{t('workers.allTasks')}</Link>}>
      {error && !data && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {data && tasks.length === 0 && <p className="empty-line">{t('workers.noTasks')}</p>}
      <ul className="short-tasks">
        {tasks.map((task) => (
          <li key={task.id}>
            <Link to="/ui/tasks/$id" params={{ id: task.id }}>
              {task.id}
            </Link>
            <span className="muted">{task.type}</span>
            <StateBadge state={taskStates[task.status]} />
            <span className="number">{task.executionTimeMs === null ? t('common.dash') : duration(task.executionTimeMs)}</span>
            <span className="muted number">
              <Ago at={task.finishedAt ?? task.startedAt ?? task.submittedAt} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  )
}

export function WorkerEvents({ id }: { id: string }) {
  const { t } = useI18n()
  const live = useLive((data) => data.events)
  const { data } = useInfiniteQuery(eventsQuery({ worker: id }))
  const events = useMemo(() => {
    const read = data?.pages[0]?.events ?? []
    return mergeEvents(read, (live ?? []).filter((event) => event.workerId === id)).slice(0, shown)
  }, [data, live, id])
  return (
    <Panel title={t('workers.events')} aside={<Link to="/ui/events" search={{ worker: id }}>{t('overview.all')}</Link>}>
      {events.length === 0 ? (
        <p className="empty-line">{t(data ? 'events.none' : 'common.loading')}</p>
      ) : (
        <div className="event-list" role="table" aria-label={t('workers.events')}>
          {events.map((event) => (
            <div key={event.seq} className="event-row" role="row">
              <EventRow event={event} />
            </div>
          ))}
        </div>
      )}
    </Panel>
  )
}
