/** The search bar's language: `status:failed type:image.* worker:worker-3 tag:customer=acme task-10`. */
import type { TaskFilter } from '@/data/tasks/types'
import { priorities, taskStatuses } from '@/wire/schemas'

export const names = ['status', 'type', 'queue', 'priority', 'worker', 'tag'] as const
export type Name = (typeof names)[number]
export const isName = (text: string): text is Name => (names as readonly string[]).includes(text)

/** What a word of the search cannot be: an unknown name, or a value that its name does not have. */
export type Fault = { kind: 'name'; name: string } | { kind: 'value'; name: Name; value: string; allowed: readonly string[] } | { kind: 'tag'; value: string }

export interface ParsedQuery {
  filter: TaskFilter
  faults: Fault[]
}

/** Words are parted by spaces; quotes keep a space inside one: `tag:customer="Acme Inc"`. */
export const words = /(?:[^\s"]|"[^"]*"?)+/g

export const unquoted = (text: string): string => text.replaceAll('"', '')
const quoted = (text: string): string => (/\s/.test(text) ? `"${text}"` : text)

/** A word without a colon is the beginning of an id; the last one of a kind counts. */
export function parseQuery(text: string): ParsedQuery {
  const filter: TaskFilter = {}
  const faults: Fault[] = []
  for (const [word] of text.matchAll(words)) {
    const colon = word.indexOf(':')
    const name = word.slice(0, Math.max(colon, 0))
    const value = unquoted(word.slice(colon + 1)).replace(/,+$/, '')
    if (colon < 0) filter.q = unquoted(word)
    else if (!isName(name)) faults.push({ kind: 'name', name })
    else if (value !== '') {
      faults.push(...faultsOf(name, value))
      filter[name] = name === 'tag' ? value.split(',').map(tagOut).join(',') : value
    }
  }
  return { filter, faults }
}

function faultsOf(name: Name, value: string): Fault[] {
  const allowed: readonly string[] | null = name === 'status' ? taskStatuses : name === 'priority' ? priorities : null
  if (allowed) return value.split(',').flatMap((one) => (allowed.includes(one) ? [] : [{ kind: 'value' as const, name, value: one, allowed }]))
  if (name === 'tag') return value.split(',').flatMap((one) => (/^[A-Za-z0-9_.-]{1,32}[=:]/.test(one) ? [] : [{ kind: 'tag' as const, value: one }]))
  return []
}

const tagOut = (tag: string): string => tag.replace('=', ':')
const tagIn = (tag: string): string => tag.replace(':', '=')

/** The text that parses to this filter. */
export function formatQuery(filter: TaskFilter): string {
  const parts = names.flatMap((name) => {
    const value = filter[name]
    return value ? [`${name}:${quoted(name === 'tag' ? value.split(',').map(tagIn).join(',') : value)}`] : []
  })
  if (filter.q) parts.push(filter.q)
  return parts.join(' ')
}

/** Adds a value to those of a name, or takes it away. */
export function toggled(list: string | undefined, value: string): string | undefined {
  const now = list ? list.split(',') : []
  const next = now.includes(value) ? now.filter((one) => one !== value) : [...now, value]
  return next.length === 0 ? undefined : next.join(',')
}
