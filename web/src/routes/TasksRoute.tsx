import { TaskPanel } from '@/features/task/TaskPanel'
import { TasksPage } from '@/features/tasks/TasksPage'

/** Where two areas meet: the list, and beside it the task that is opened from it. */
export function TasksRoute() {
  return <TasksPage panel={(id, onClose) => <TaskPanel key={id} id={id} onClose={onClose} />} />
}
