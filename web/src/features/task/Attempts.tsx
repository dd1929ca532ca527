import { StateBadge } from '@/components/StateBadge'
import { Clock, useServerNow } from '@/components/Time'
import type { TaskDetail } from '@/data/tasks/types'
import { taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { isKey } from '@/i18n/translate'
import { attempts, type Attempt } from './timeline.model'

export function Attempts({ task }: { task: TaskDetail }) {
  const { t } = useI18n()
  const list = attempts(task)
  if (list.length === 0) return <p className="empty-line">{t('task.noAttempt')}</p>
  return (
    <ol className="attempts">
      {list.map((attempt) => (
        <Row key={attempt.startedAt} attempt={attempt} />
      ))}
    </ol>
  )
}

function Row({ attempt }: { attempt: Attempt }) {
  const { t, duration } = useI18n()
  const now = useServerNow()
  const { outcome, error } = attempt
  const state = outcome === null ? taskStates.inProgress : outcome === 'reassigned' ? taskStates.retrying : taskStates[outcome]
  const code = error?.code ? `error.${error.code}` : ''
  return (
    <li>
      <div className="attempt-line">
        <b>{t('task.attemptN', { n: attempt.number })}</b>
        <StateBadge state={state} />
        <span>{attempt.worker}</span>
        <Clock at={attempt.startedAt} />
        <span className="number">{duration(Math.max(0, (attempt.endedAt ?? now) - attempt.startedAt))}</span>
      </div>
      {error && (
        <pre className="attempt-error" tabIndex={0}>
          {isKey(code) ? `${t(code)}: ` : ''}
          {error.message}
        </pre>
      )}
    </li>
  )
}
