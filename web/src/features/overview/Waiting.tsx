import { Link } from '@tanstack/react-router'
import { useLive } from '@/data/live/hooks'
import { priorityLabels } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { priorities } from '@/wire/schemas'

/** What waits in all queues together, by priority. */
export function Waiting() {
  const { t, number, duration } = useI18n()
  const queues = useLive((data) => data.queues)
  const all = [...(queues?.values() ?? [])]
  const depths = priorities.map((priority) => ({ priority, depth: all.reduce((sum, queue) => sum + queue.depth[priority], 0) }))
  const most = Math.max(1, ...depths.map(({ depth }) => depth))
  const oldest = Math.max(0, ...all.map((queue) => queue.oldestWaitMs ?? 0))
  return (
    <div className="waiting">
      <ul>
        {depths.map(({ priority, depth }) => (
          <li key={priority}>
            <Link to="/ui/tasks" search={{ status: 'pending', priority }}>
              <span>{t(priorityLabels[priority])}</span>
              <span className="bar">
                <i style={{ width: `${(depth / most) * 100}%` }} />
              </span>
              <span className="number">{number(depth)}</span>
            </Link>
          </li>
        ))}
      </ul>
      <p className="muted waiting-oldest">
        {t('queues.oldest')} <b>{duration(oldest)}</b>
      </p>
    </div>
  )
}
