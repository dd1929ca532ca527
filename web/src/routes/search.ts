/** The search parameters of each page: what is in the address is the state of the page. */
import { z } from 'zod'
import { windows } from '@/data/stats/types'
import { sorts } from '@/data/tasks/types'

/** A text that is there, or nothing: an empty or malformed parameter counts as absent. */
const text = z.string().min(1).optional().catch(undefined)
const flag = z.literal('1').optional().catch(undefined)

/** Of the pages with charts. */
export const WindowSearch = z.object({ window: z.enum(windows).optional().catch(undefined) })
export const OverviewSearch = WindowSearch
export const TasksSearch = z.object({
  status: text,
  type: text,
  queue: text,
  priority: text,
  worker: text,
  tag: text,
  q: text,
  sort: z.enum(sorts).optional().catch(undefined),
  follow: flag,
  /** The task in the panel beside the list. */
  open: text,
})
/** The task whose fields a new one begins with. */
export const SubmitSearch = z.object({ like: text })
export const eventKinds = ['failures', 'task', 'worker', 'pool', 'queue', 'system', 'audit'] as const
/** One kind or several with commas between; what is none is left out. */
const kinds = z
  .string()
  .transform((value) => eventKinds.filter((kind) => value.split(',').includes(kind)).join(',') || undefined)
  .optional()
  .catch(undefined)
export const EventsSearch = z.object({
  kind: kinds,
  task: text,
  worker: text,
  since: text,
  until: text,
  follow: flag,
})

export type OverviewSearch = z.infer<typeof OverviewSearch>
export type TasksSearch = z.infer<typeof TasksSearch>
export type EventsSearch = z.infer<typeof EventsSearch>
export type EventKind = (typeof eventKinds)[number]

/** Plain `name=value` pairs, as in the API's own queries: ?q=104 is the text "104". */
export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search))
}

/** In alphabetical order, so that the same view has the same address. */
export function stringifySearch(search: Record<string, unknown>): string {
  const pairs = Object.entries(search).filter((pair): pair is [string, string] => typeof pair[1] === 'string' && pair[1] !== '')
  pairs.sort(([a], [b]) => a.localeCompare(b))
  const text = new URLSearchParams(pairs).toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%2A', '*')
  return text === '' ? '' : `?${text}`
}
