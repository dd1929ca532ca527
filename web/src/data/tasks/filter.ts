/** Which tasks a filter takes, as the API decides it, for what comes live. */
import type { Task, TaskFilter, TaskSort } from './types'

export function matches(task: Task, filter: TaskFilter): boolean {
  return (
    anyOf(filter.status, (status) => task.status === status) &&
    anyOf(filter.type, (type) => type === '*' || (type.endsWith('.*') ? task.type.startsWith(type.slice(0, -1)) : task.type === type)) &&
    anyOf(filter.queue, (queue) => task.queue === queue) &&
    anyOf(filter.priority, (priority) => task.priority === priority) &&
    anyOf(filter.worker, (worker) => task.worker === worker) &&
    anyOf(filter.tag, (tag) => task.tags[tag.slice(0, tag.indexOf(':'))] === tag.slice(tag.indexOf(':') + 1)) &&
    (!filter.q || task.id.startsWith(filter.q))
  )
}

const anyOf = (list: string | undefined, test: (value: string) => boolean): boolean => !list || list.split(',').some(test)

export const isFiltered = (filter: TaskFilter): boolean => Object.values(filter).some(Boolean)

/**
 * Whether a task stands before the last row that was read, where that can be told from here.
 * Priorities and times of execution change with every task, so those orders are left to the server.
 */
export function standsWithin(task: Task, last: Task | undefined, sort: TaskSort): boolean {
  if (!last) return true
  if (sort === '-submittedAt') return task.submittedAt >= last.submittedAt
  if (sort === 'submittedAt') return task.submittedAt <= last.submittedAt
  return true
}
