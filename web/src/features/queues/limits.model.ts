/** The limits of a queue as a form holds them, and as PATCH /queues/:name takes them. */
import type { Queue } from '@/data/queues/types'
import type { Key } from '@/i18n/en'

export interface LimitsDraft {
  maxConcurrent: string
  ratePerSecond: string
  types: { type: string; maxConcurrent: string; ratePerSecond: string }[]
}

export interface LimitsBody {
  maxConcurrent: number | null
  ratePerSecond: number | null
  /** A type that is null has no limits of its own any more. */
  types: Record<string, { maxConcurrent: number | null; ratePerSecond: number | null } | null>
}

const written = (value: number | null): string => (value === null ? '' : String(value))
const read = (text: string): number | null => (text.trim() === '' ? null : Number(text))

export const draftOf = (queue: Queue): LimitsDraft => ({
  maxConcurrent: written(queue.maxConcurrent),
  ratePerSecond: written(queue.ratePerSecond),
  types: Object.entries(queue.types)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([type, own]) => ({ type, maxConcurrent: written(own.maxConcurrent), ratePerSecond: written(own.ratePerSecond) })),
})

/** Everything that is wrong, by the path of its field: `ratePerSecond`, `types.0.type`. */
export function faultsOf(draft: LimitsDraft): { field: string; rule: Key }[] {
  const faults: { field: string; rule: Key }[] = []
  const check = (path: string, { maxConcurrent, ratePerSecond }: { maxConcurrent: string; ratePerSecond: string }) => {
    if (maxConcurrent.trim() !== '' && !/^[1-9]\d{0,8}$/.test(maxConcurrent.trim())) faults.push({ field: `${path}maxConcurrent`, rule: 'rule.maxConcurrent' })
    const rate = Number(ratePerSecond)
    if (ratePerSecond.trim() !== '' && !(rate > 0 && Number.isFinite(rate))) faults.push({ field: `${path}ratePerSecond`, rule: 'rule.ratePerSecond' })
  }
  check('', draft)
  draft.types.forEach((own, i) => {
    if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(own.type.trim()) || own.type.trim().length > 64) faults.push({ field: `types.${i}.type`, rule: 'rule.type' })
    else if (draft.types.findIndex((other) => other.type.trim() === own.type.trim()) < i) faults.push({ field: `types.${i}.type`, rule: 'rule.typeTwice' })
    check(`types.${i}.`, own)
  })
  return faults
}

/** Types that had limits and are no longer listed are set to null. */
export function bodyOf(draft: LimitsDraft, before: Queue): LimitsBody {
  const types: LimitsBody['types'] = Object.fromEntries(Object.keys(before.types).map((type) => [type, null]))
  for (const own of draft.types) types[own.type.trim()] = { maxConcurrent: read(own.maxConcurrent), ratePerSecond: read(own.ratePerSecond) }
  return { maxConcurrent: read(draft.maxConcurrent), ratePerSecond: read(draft.ratePerSecond), types }
}

/** Where in the form a fault of the API belongs; null where no field is to blame. */
export function fieldOf(path: string, draft: LimitsDraft): string | null {
  if (path === 'maxConcurrent' || path === 'ratePerSecond') return path
  if (!path.startsWith('types.')) return null
  const rest = path.slice('types.'.length)
  const at = draft.types.findIndex(({ type }) => rest === type.trim() || rest.startsWith(`${type.trim()}.`))
  if (at < 0) return null
  const name = rest.slice((draft.types[at]?.type.trim().length ?? 0) + 1)
  return `types.${at}.${name === 'maxConcurrent' || name === 'ratePerSecond' ? name : 'type'}`
}
