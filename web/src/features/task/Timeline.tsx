import { Icon } from '@/components/Icon'
import { useServerNow } from '@/components/Time'
import type { TaskDetail } from '@/data/tasks/types'
import { taskStates, type State } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { phases, ticks, type Phase } from './timeline.model'

/** Waited, ran, backed off, ran: drawn to scale over its ticks, and said in words. */
export function Timeline({ task }: { task: TaskDetail }) {
  const i18n = useI18n()
  const now = useServerNow()
  const list = phases(task, now)
  if (list.length === 0) return <p className="empty-line">{i18n.t('task.noAttempt')}</p>
  return (
    <div className="timeline">
      <Bar list={list} />
      <ol className="timeline-words">
        {list.map((phase) => (
          <li key={`${phase.kind}${phase.from}`} data-kind={phase.kind}>
            <Icon name={look(phase).icon} size={12} style={{ color: look(phase).color }} />
            {sentence(phase, i18n)}
          </li>
        ))}
        {task.finishedAt !== null && (
          <li className="timeline-end">
            <Icon name={taskStates[task.status].icon} size={12} style={{ color: taskStates[task.status].color }} />
            <b>{i18n.t(taskStates[task.status].label)}</b>
          </li>
        )}
      </ol>
    </div>
  )
}

/** The time between an end and a retry by hand may be days: it is a gap of fixed width in the scale. */
function Bar({ list }: { list: Phase[] }) {
  const i18n = useI18n()
  const gaps = list.some((phase) => phase.kind === 'ended')
  const total = Math.max(1, list.reduce((sum, phase) => sum + length(phase), 0))
  return (
    <div aria-hidden="true">
      <div className="timeline-bar">
        {list.map((phase) => (
          <i
            key={`${phase.kind}${phase.from}`}
            data-kind={phase.kind}
            data-open={phase.open}
            title={sentence(phase, i18n)}
            style={{ flexGrow: length(phase) / total, background: phase.kind === 'ran' ? look(phase).color : undefined, color: look(phase).color }}
          />
        ))}
      </div>
      {!gaps && (
        <div className="timeline-scale">
          {ticks(total).map((at) => (
            <span key={at} style={{ left: `${(at / total) * 100}%` }} data-last={at / total > 0.93}>
              {at === 0 ? '0' : i18n.duration(at)}
            </span>
          ))}
        </div>
      )}
    </div>
  )
}

const length = (phase: Phase): number => (phase.kind === 'ended' ? 0 : phase.to - phase.from)

function look(phase: Phase): State {
  if (phase.kind === 'scheduled') return taskStates.scheduled
  if (phase.kind === 'waited') return taskStates.pending
  if (phase.kind === 'backoff') return taskStates.retrying
  if (phase.kind === 'ended') return taskStates.cancelled
  if (phase.outcome === null) return taskStates.inProgress
  return phase.outcome === 'reassigned' ? taskStates.retrying : taskStates[phase.outcome]
}

function sentence(phase: Phase, { t, duration }: I18n): string {
  const time = duration(phase.to - phase.from)
  const worker = phase.worker ?? t('common.unknown')
  switch (phase.kind) {
    case 'ran':
      if (phase.outcome === 'failed') return t('task.phaseFailed', { time, worker })
      if (phase.outcome === 'reassigned') return t('task.phaseLost', { time, worker })
      return t(phase.open ? 'task.phaseRunning' : 'task.phaseRan', { time, worker })
    case 'backoff':
      return t(phase.open ? 'task.phaseBackingOff' : 'task.phaseBackoff', { time })
    case 'scheduled':
      return t(phase.open ? 'task.phaseScheduledOpen' : 'task.phaseScheduled', { time })
    case 'ended':
      return t('task.phaseEnded', { time })
    case 'waited':
      return t(phase.open ? 'task.phaseWaiting' : 'task.phaseWaited', { time })
  }
}
