/** What the search bar offers at the place of the cursor. Pure. */
import { priorities, taskStatuses } from '@/wire/schemas'
import { isName, names, unquoted, words, type Name } from './query.model'

export interface Sources {
  /** Counts by value, of tasks that match the rest of the search. */
  facets: Partial<Record<'status' | 'type' | 'queue' | 'priority', Record<string, number>>>
  queues: readonly string[]
  workers: readonly string[]
  /** Tags seen lately: values by key. */
  tags: ReadonlyMap<string, ReadonlySet<string>>
}

export interface Suggestion {
  /** What stands in place of the word once chosen. */
  word: string
  name: Name | null
  value: string
  count: number | null
}

/** The word that the cursor stands in or behind. */
export interface Word {
  start: number
  end: number
  text: string
}

const most = 9

export function wordAt(text: string, cursor: number): Word {
  for (const { 0: word, index } of text.matchAll(words)) {
    if (index <= cursor && cursor <= index + word.length) return { start: index, end: index + word.length, text: word }
  }
  return { start: cursor, end: cursor, text: '' }
}

export function suggest(word: string, sources: Sources): Suggestion[] {
  const colon = word.indexOf(':')
  if (colon >= 0) {
    const name = word.slice(0, colon)
    return isName(name) ? valuesOf(name, word.slice(colon + 1), sources) : []
  }
  const typed = word.toLowerCase()
  const byName = names.filter((name) => name.startsWith(typed)).map((name) => ({ word: `${name}:`, name: null, value: `${name}:`, count: null }))
  if (typed.length < 2) return byName
  return [...byName, ...names.flatMap((name) => valuesOf(name, word, sources))].slice(0, most)
}

/** Of a list such as `failed,ca` the last value is the one being written. */
function valuesOf(name: Name, typed: string, sources: Sources): Suggestion[] {
  const comma = typed.lastIndexOf(',')
  const before = typed.slice(0, comma + 1)
  const taken = new Set(before.split(','))
  const part = unquoted(typed.slice(comma + 1)).toLowerCase()
  return candidates(name, part, sources)
    .filter(({ value }) => !taken.has(value) && value.toLowerCase() !== part && fits(value, part))
    .slice(0, most)
    .map(({ value, count }) => ({ word: `${name}:${before}${/\s/.test(value) ? `"${value}"` : value}`, name, value, count }))
}

/** From its beginning, or from that of a part of it: `res` finds `image.resize`, `prog` finds `inProgress`. */
const fits = (value: string, part: string): boolean => [value, ...value.split(/[.\-_=]|(?=[A-Z])/)].some((piece) => piece !== '' && piece.toLowerCase().startsWith(part)) || part === ''

type Candidate = { value: string; count: number | null }

function candidates(name: Name, part: string, { facets, queues, workers, tags }: Sources): Candidate[] {
  switch (name) {
    case 'status':
      return taskStatuses.map((value) => ({ value, count: facets.status?.[value] ?? (facets.status ? 0 : null) }))
    case 'priority':
      return priorities.map((value) => ({ value, count: facets.priority?.[value] ?? (facets.priority ? 0 : null) }))
    case 'type':
      return typesOf(facets.type ?? {})
    case 'queue':
      return ordered({ ...Object.fromEntries(queues.map((queue) => [queue, 0])), ...facets.queue })
    case 'worker':
      return [...workers].sort(byNumber).map((value) => ({ value, count: null }))
    case 'tag':
      return tagsOf(tags, part)
  }
}

/** Types by how many tasks they have; `image.*` before its types where there are several. */
function typesOf(counts: Record<string, number>): Candidate[] {
  const families = new Map<string, { types: number; count: number }>()
  for (const [type, count] of Object.entries(counts)) {
    const dot = type.indexOf('.')
    if (dot < 0) continue
    const family = `${type.slice(0, dot)}.*`
    const known = families.get(family) ?? { types: 0, count: 0 }
    families.set(family, { types: known.types + 1, count: known.count + count })
  }
  const several = Object.fromEntries([...families].filter(([, { types }]) => types > 1).map(([family, { count }]) => [family, count]))
  return ordered({ ...counts, ...several })
}

const ordered = (counts: Record<string, number>): Candidate[] =>
  Object.entries(counts)
    .sort(([a, n], [b, m]) => m - n || a.localeCompare(b))
    .map(([value, count]) => ({ value, count }))

function tagsOf(tags: Sources['tags'], part: string): Candidate[] {
  const [key = ''] = part.split('=')
  if (!part.includes('=')) return [...tags.keys()].map((value) => ({ value: `${value}=`, count: null }))
  const known = [...tags.keys()].find((one) => one.toLowerCase() === key)
  return known === undefined ? [] : [...(tags.get(known) ?? [])].sort(byNumber).map((value) => ({ value: `${known}=${value}`, count: null }))
}

const byNumber = (a: string, b: string): number => a.localeCompare(b, undefined, { numeric: true })

/** The text with the word replaced, and where the cursor stands then: behind a space where the word is whole. */
export function put(text: string, word: Word, chosen: string): { text: string; cursor: number } {
  const whole = !/[:=]$/.test(chosen)
  const rest = text.slice(word.end).trimStart()
  const head = text.slice(0, word.start) + chosen
  const gap = whole || rest !== '' ? ' ' : ''
  return { text: head + gap + rest, cursor: head.length + (whole ? 1 : 0) }
}
