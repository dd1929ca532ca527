import type { Task } from '@/data/tasks/types'

const mostRead = 1000
const mostValues = 100

/** The tags of the tasks at hand, values by key: what the search bar offers. */
export function tagsOf(rows: readonly Task[]): Map<string, Set<string>> {
  const tags = new Map<string, Set<string>>()
  for (const task of rows.slice(0, mostRead)) {
    for (const [key, value] of Object.entries(task.tags)) {
      const values = tags.get(key) ?? new Set()
      tags.set(key, values)
      if (values.size < mostValues) values.add(value)
    }
  }
  return tags
}
