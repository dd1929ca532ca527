import type { TaskDetail } from '@/data/tasks/types'
import { isOpen } from '@/domain/states'
import { useI18n } from '@/i18n/context'

export function Progress({ task: { progress, status } }: { task: TaskDetail }) {
  const { t, number } = useI18n()
  if (!progress || !isOpen(status)) return null
  const percent = progress.percent === null ? undefined : Math.max(0, Math.min(100, progress.percent))
  return (
    <div className="progress">
      <progress max={100} value={percent} aria-label={t('task.progress')} />
      {percent !== undefined && <span className="number">{number(Math.round(percent))} %</span>}
      {progress.message && <span className="muted">{progress.message}</span>}
    </div>
  )
}
