/** How what is live meets a list that was read: rows change in place, new ones wait to be asked for. */
import type { LiveTask } from '@/data/live/model'
import type { Task, TaskFilter, TaskSort } from '@/data/tasks/types'

/** Each row as it is now: the live version where it is newer than the list. */
export function overlay(listed: readonly Task[], live: ReadonlyMap<string, LiveTask>, readAt: number): Task[] {
  return listed.map((task) => {
    const now = live.get(task.id)
    return now && now.changedAt > readAt ? now.task : task
  })
}

/**
 * How many tasks match the filter that the list does not show, as far as it reaches: what
 * sorts behind the last row that was loaded is found by scrolling.
 */
export function unseen(listed: readonly Task[], live: ReadonlyMap<string, LiveTask>, readAt: number, filter: TaskFilter, sort: TaskSort, complete: boolean): number {
  const shown = new Set(listed.map((task) => task.id))
  const last = listed[listed.length - 1]
  const reaches = (task: Task) => complete || !last || (sort === '-submittedAt' && task.submittedAt >= last.submittedAt)
  let count = 0
  for (const { task, changedAt } of live.values()) {
    if (changedAt > readAt && !shown.has(task.id) && matches(task, filter) && reaches(task)) count++
  }
  return count
}

export function matches(task: Task, filter: TaskFilter): boolean {
  return (
    anyOf(filter.status, (status) => task.status === status) &&
    anyOf(filter.type, (type) => (type.endsWith('.*') ? task.type.startsWith(type.slice(0, -1)) : task.type === type)) &&
    anyOf(filter.queue, (queue) => task.queue === queue) &&
    anyOf(filter.priority, (priority) => task.priority === priority) &&
    anyOf(filter.worker, (worker) => task.worker === worker) &&
    anyOf(filter.tag, (tag) => task.tags[tag.slice(0, tag.indexOf(':'))] === tag.slice(tag.indexOf(':') + 1)) &&
    (!filter.q || task.id.startsWith(filter.q))
  )
}

const anyOf = (list: string | undefined, test: (value: string) => boolean): boolean => !list || list.split(',').some(test)
