import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { useI18n } from '@/i18n/context'
import { TaskView } from './TaskView'

/** One task on a page of its own. */
export function TaskPage() {
  const { t } = useI18n()
  const { id } = useParams({ from: '/ui/tasks/$id' })
  const navigate = useNavigate()
  return (
    <div className="page task-page">
      <title>{`${id} · ${t('app.name')}`}</title>
      <Link to="/ui/tasks" className="back">
        <Icon name="back" size={12} />
        {t('task.back')}
      </Link>
      <TaskView key={id} id={id} heading="h1" onDeleted={() => void navigate({ to: '/ui/tasks' })} />
    </div>
  )
}
