import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Ago } from '@/components/Time'
import type { TaskDetail } from '@/data/tasks/types'
import { priorityLabels } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { isKey } from '@/i18n/translate'

export function Details({ task }: { task: TaskDetail }) {
  const { t, duration, number } = useI18n()
  const ms = (value: number | null) => (value === null ? t('common.dash') : duration(value))
  const policy = task.backoff ? `backoff.${task.backoff.policy}` : ''
  const rows: [string, ReactNode][] = [
    [t('col.priority'), t(priorityLabels[task.priority])],
    [t('task.queue'), <Link key="q" to="/ui/tasks" search={{ queue: task.queue }}>{task.queue}</Link>],
    [t('col.worker'), task.worker ? <Link key="w" to="/ui/tasks" search={{ worker: task.worker }}>{task.worker}</Link> : t('common.dash')],
    [t('task.pool'), task.pool ?? t('common.dash')],
    [t('task.attempt'), t('task.attemptOf', { attempt: task.attempt, max: task.attempt - task.retries + task.maxRetries })],
    [t('task.waited'), ms(task.waitTimeMs)],
    [t('task.ran'), ms(task.executionTimeMs)],
    [t('col.submitted'), <Ago key="s" at={task.submittedAt} />],
  ]
  if (task.status === 'scheduled' || task.status === 'retrying') rows.push([t('task.scheduledFor'), <Ago key="f" at={task.scheduledFor} />])
  if (task.startedAt !== null) rows.push([t('task.started'), <Ago key="b" at={task.startedAt} />])
  if (task.finishedAt !== null) rows.push([t('task.finished'), <Ago key="e" at={task.finishedAt} />])
  if (task.deadline !== null) rows.push([t('task.deadline'), <Ago key="d" at={task.deadline} />])
  rows.push([t('task.timeout'), ms(task.timeoutMs)], [t('task.retention'), ms(task.retentionMs)])
  if (task.backoff) {
    rows.push([t('task.backoff'), t('task.backoffValue', { policy: isKey(policy) ? t(policy) : task.backoff.policy, base: duration(task.backoff.baseMs), max: duration(task.backoff.maxMs) })])
  }
  if (task.fence !== null) rows.push([t('task.fence'), number(task.fence)])
  const tags = Object.entries(task.tags)
  if (tags.length > 0) {
    rows.push([
      t('task.tags'),
      tags.map(([key, value]) => (
        <Link key={key} to="/ui/tasks" search={{ tag: `${key}:${value}` }} className="tag">
          {key}={value}
        </Link>
      )),
    ])
  }
  return (
    <dl className="details">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
