import { EventRow } from '@/components/EventRow'
import type { TaskDetail } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'

/** Everything that was written down about the task, oldest first. */
export function History({ task }: { task: TaskDetail }) {
  const { t } = useI18n()
  return (
    <>
      {task.historyTruncated && <p className="muted empty-line">{t('task.truncated')}</p>}
      <div className="event-list event-list-narrow" role="table" aria-label={t('task.history')}>
        {task.history.map((event) => (
          <div key={event.seq} className="event-row" role="row">
            <EventRow event={event} />
          </div>
        ))}
      </div>
    </>
  )
}
