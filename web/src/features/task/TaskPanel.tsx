import { Link } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { useI18n } from '@/i18n/context'
import { TaskView } from './TaskView'

/** One task beside the list it was opened from. */
export function TaskPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useI18n()
  const tools = (
    <span className="task-panel-tools">
      <Link to="/ui/tasks/$id" params={{ id }} className="button button-plain" aria-label={t('task.openPage')} title={t('task.openPage')}>
        <Icon name="expand" />
      </Link>
      <button type="button" className="button button-plain" aria-label={t('task.closePanel')} title={t('task.closePanel')} onClick={onClose}>
        <Icon name="cross" size={12} />
      </button>
    </span>
  )
  return (
    <aside className="task-panel" aria-label={id} tabIndex={-1}>
      <TaskView key={id} id={id} heading="h2" narrow aside={tools} onDeleted={onClose} />
    </aside>
  )
}
