/** The search bar's language: `status:failed type:image.* worker:worker-3 tag:customer=acme task-10`. */
import type { TaskFilter } from '@/data/tasks/types'

const names = ['status', 'type', 'queue', 'priority', 'worker', 'tag'] as const
type Name = (typeof names)[number]
const isName = (text: string): text is Name => (names as readonly string[]).includes(text)

export interface ParsedQuery {
  filter: TaskFilter
  /** Names before a colon that are no filters. */
  unknown: string[]
}

/** A word without a colon is the beginning of an id; the last one of a kind counts. */
export function parseQuery(text: string): ParsedQuery {
  const filter: TaskFilter = {}
  const unknown: string[] = []
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const colon = word.indexOf(':')
    const name = word.slice(0, Math.max(colon, 0))
    const value = word.slice(colon + 1)
    if (colon < 0) filter.q = word
    else if (!isName(name)) unknown.push(name)
    else if (value !== '') filter[name] = name === 'tag' ? value.replace('=', ':') : value
  }
  return { filter, unknown }
}

/** The text that parses to this filter, less its status: that has its own buttons. */
export function formatQuery(filter: TaskFilter): string {
  const words = names.filter((name) => name !== 'status').flatMap((name) => {
    const value = filter[name]
    return value ? [`${name}:${name === 'tag' ? value.replace(':', '=') : value}`] : []
  })
  if (filter.q) words.push(filter.q)
  return words.join(' ')
}
