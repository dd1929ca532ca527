import { Icon } from '@/components/Icon'
import { useServerNow } from '@/components/Time'
import type { TaskDetail } from '@/data/tasks/types'
import { taskStates, type State } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { phases, type Phase } from './timeline.model'

/** Waited, ran, backed off, ran: drawn to scale, and said in words. */
export function Timeline({ task }: { task: TaskDetail }) {
  const i18n = useI18n()
  const now = useServerNow()
  const list = phases(task, now)
  if (list.length === 0) return <p className="empty-line">{i18n.t('task.noAttempt')}</p>
  const total = Math.max(1, list.reduce((sum, phase) => sum + phase.to - phase.from, 0))
  return (
    <div className="timeline">
      <div className="timeline-bar" aria-hidden="true">
        {list.map((phase) => (
          <i key={`${phase.kind}${phase.from}`} data-kind={phase.kind} title={sentence(phase, i18n)} style={{ flexGrow: Math.max((phase.to - phase.from) / total, 0.002), background: phase.kind === 'ran' ? look(phase).color : undefined, color: look(phase).color }} />
        ))}
      </div>
      <ol className="timeline-words">
        {list.map((phase) => (
          <li key={`${phase.kind}${phase.from}`}>
            <Icon name={look(phase).icon} size={12} style={{ color: look(phase).color }} />
            {sentence(phase, i18n)}
          </li>
        ))}
      </ol>
    </div>
  )
}

function look(phase: Phase): State {
  if (phase.kind === 'waited') return taskStates.pending
  if (phase.kind === 'backoff') return taskStates.retrying
  if (phase.outcome === null) return taskStates.inProgress
  return phase.outcome === 'reassigned' ? taskStates.retrying : taskStates[phase.outcome]
}

function sentence(phase: Phase, { t, duration }: I18n): string {
  const time = duration(phase.to - phase.from)
  const worker = phase.worker ?? t('common.unknown')
  if (phase.kind === 'ran') return t(phase.open ? 'task.phaseRunning' : 'task.phaseRan', { time, worker })
  if (phase.kind === 'backoff') return t('task.phaseBackoff', { time })
  return t(phase.open ? 'task.phaseWaiting' : 'task.phaseWaited', { time })
}
