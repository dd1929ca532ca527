/** A new task as its form holds it (all text), checked by the rules of the API, and as the API takes it. */
import type { TaskDetail } from '@/data/tasks/types'
import type { Key } from '@/i18n/en'
import { parseDuration, writeDuration } from '@/lib/duration'
import { jsonFault } from '@/lib/jsonfault'
import { indentJson } from '@/lib/rawjson'
import { priorities } from '@/wire/schemas'

export const policies = ['exponential', 'linear', 'fixed'] as const
export const starts = ['now', 'delay', 'at'] as const

export interface Draft {
  type: string
  payload: string
  queue: string
  priority: string
  id: string
  start: (typeof starts)[number]
  delay: string
  runAt: string
  maxRetries: string
  policy: string
  base: string
  max: string
  jitter: string
  timeout: string
  deadline: string
  retention: string
  tags: { key: string; value: string }[]
}
export type FieldName = keyof Draft

export const blank: Draft = {
  type: '', payload: '', queue: '', priority: 'medium', id: '', start: 'now', delay: '', runAt: '', maxRetries: '',
  policy: '', base: '', max: '', jitter: '', timeout: '', deadline: '', retention: '', tags: [],
}

export interface Fault {
  /** A field, or one tag: `tags.0`. */
  field: string
  rule: Key
}

const second = 1000
const day = 86_400_000
const made = /^task-\d{3,}(-[1-9]\d*)?$/

/** Everything that is wrong, each with its field. */
export function faultsOf(draft: Draft, now: number): Fault[] {
  const faults: Fault[] = []
  const fail = (field: string, rule: Key) => faults.push({ field, rule })
  if (draft.type.trim() === '') fail('type', 'rule.required')
  else if (draft.type.trim().length > 64 || !/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(draft.type.trim())) fail('type', 'rule.type')
  if (draft.queue.trim() !== '' && !/^[A-Za-z0-9_-]{1,32}$/.test(draft.queue.trim())) fail('queue', 'rule.queue')
  if (!priorities.some((one) => one === draft.priority)) fail('priority', 'rule.required')
  if (draft.id.trim() !== '') {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(draft.id.trim())) fail('id', 'rule.id')
    else if (made.test(draft.id.trim())) fail('id', 'rule.idMade')
  }
  if (draft.payload.trim() !== '' && jsonFault(draft.payload)) fail('payload', 'rule.json')
  const number = (field: 'maxRetries' | 'jitter', most: number, whole: boolean, rule: Key) => {
    const text = draft[field].trim()
    if (text === '') return
    const value = Number(text)
    if (!Number.isFinite(value) || value < 0 || value > most || (whole && !/^\d+$/.test(text))) fail(field, rule)
  }
  number('maxRetries', 100, true, 'rule.maxRetries')
  number('jitter', 1, false, 'rule.jitter')
  const span = (field: 'base' | 'max' | 'timeout' | 'delay' | 'retention', least: number, most: number, rule: Key, required = false) => {
    const text = draft[field].trim()
    if (text === '') {
      if (required) fail(field, 'rule.required')
      return
    }
    const ms = parseDuration(text)
    if (ms === null) fail(field, 'rule.duration')
    else if (ms < least || ms > most) fail(field, rule)
  }
  span('base', 1, day, 'rule.backoff')
  span('max', 1, day, 'rule.backoff')
  span('timeout', 1, 7 * day, 'rule.timeout')
  span('retention', 60 * second, 30 * day, 'rule.retention')
  if (draft.start === 'delay') span('delay', 0, 365 * day, 'rule.year', true)
  if (draft.start === 'at') {
    const at = Date.parse(draft.runAt)
    if (Number.isNaN(at)) fail('runAt', 'rule.required')
    else if (at > now + 365 * day) fail('runAt', 'rule.year')
  }
  if (draft.deadline !== '') {
    const at = Date.parse(draft.deadline)
    if (Number.isNaN(at)) fail('deadline', 'rule.time')
    else if (at <= now) fail('deadline', 'rule.past')
  }
  if (draft.tags.length > 16) fail('tags', 'rule.tags')
  draft.tags.forEach(({ key, value }, i) => {
    if (key.trim() === '' && value === '') return
    if (!/^[A-Za-z0-9_.-]{1,32}$/.test(key.trim())) fail(`tags.${i}`, 'rule.tagKey')
    else if (Array.from(value).length > 128) fail(`tags.${i}`, 'rule.tagValue')
    else if (draft.tags.findIndex((tag) => tag.key.trim() === key.trim()) < i) fail(`tags.${i}`, 'rule.tagTwice')
  })
  return faults
}

/** The body of the request as text: the payload goes in as it was written, so that no digit is lost. */
export function bodyOf(draft: Draft): string {
  const parts: string[] = []
  const add = (name: string, value: unknown) => parts.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
  const text = (name: string, value: string) => value.trim() !== '' && add(name, value.trim())
  const ms = (name: string, value: string) => value.trim() !== '' && add(name, Math.round(parseDuration(value) ?? 0))
  text('id', draft.id)
  text('type', draft.type)
  text('queue', draft.queue)
  if (draft.priority !== blank.priority) add('priority', draft.priority)
  if (draft.payload.trim() !== '') parts.push(`"payload":${draft.payload.trim()}`)
  if (draft.maxRetries.trim() !== '') add('maxRetries', Number(draft.maxRetries))
  const backoff = Object.fromEntries([
    ...(draft.policy === '' ? [] : [['policy', draft.policy]]),
    ...(draft.base.trim() === '' ? [] : [['baseMs', Math.round(parseDuration(draft.base) ?? 0)]]),
    ...(draft.max.trim() === '' ? [] : [['maxMs', Math.round(parseDuration(draft.max) ?? 0)]]),
    ...(draft.jitter.trim() === '' ? [] : [['jitter', Number(draft.jitter)]]),
  ] as [string, unknown][])
  if (Object.keys(backoff).length > 0) add('backoff', backoff)
  ms('timeoutMs', draft.timeout)
  if (draft.start === 'delay') ms('delayMs', draft.delay)
  if (draft.start === 'at') add('runAt', new Date(draft.runAt).toISOString())
  if (draft.deadline !== '') add('deadline', new Date(draft.deadline).toISOString())
  ms('retentionMs', draft.retention)
  const tags = draft.tags.filter(({ key }) => key.trim() !== '').map(({ key, value }) => [key.trim(), value])
  if (tags.length > 0) add('tags', Object.fromEntries(tags))
  return `{${parts.join(',')}}`
}

const apiFields: Record<string, FieldName> = {
  'backoff': 'policy', 'backoff.policy': 'policy', 'backoff.baseMs': 'base', 'backoff.maxMs': 'max', 'backoff.jitter': 'jitter',
  timeoutMs: 'timeout', delayMs: 'delay', retentionMs: 'retention',
}

/** Where in the form a fault of the API belongs; null where no field is to blame. */
export function fieldOf(path: string, draft: Draft): string | null {
  const known = apiFields[path] ?? path
  if (known.startsWith('tags.')) {
    const at = draft.tags.findIndex(({ key }) => key.trim() === known.slice('tags.'.length))
    return at < 0 ? 'tags' : `tags.${at}`
  }
  const [first = ''] = known.split(/[.[]/)
  return Object.hasOwn(blank, first) ? first : null
}

/** A draft of the same work as a task that exists: all but its id, its times and what became of it. */
export function like(task: TaskDetail): Draft {
  const { backoff } = task
  return {
    ...blank,
    type: task.type,
    payload: task.payloadExpired || task.payload === 'null' ? '' : indentJson(task.payload),
    queue: task.queue === 'default' ? '' : task.queue,
    priority: task.priority,
    maxRetries: String(task.maxRetries),
    policy: backoff?.policy ?? '',
    base: backoff ? writeDuration(backoff.baseMs) : '',
    max: backoff ? writeDuration(backoff.maxMs) : '',
    jitter: backoff ? String(backoff.jitter) : '',
    timeout: task.timeoutMs === null ? '' : writeDuration(task.timeoutMs),
    retention: task.retentionMs === null ? '' : writeDuration(task.retentionMs),
    tags: Object.entries(task.tags).map(([key, value]) => ({ key, value })),
  }
}
