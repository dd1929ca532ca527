/** Says an event in the reader's language, from its `event` and `data`. */
import type { Event } from '@/data/events/types'
import type { I18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { isKey, type Params } from '@/i18n/translate'
import { sayReason } from './reasons'

const sentences: Record<string, Key> = {
  'task.submitted': 'say.submitted',
  'task.rejected': 'say.rejected',
  'task.duplicate': 'say.duplicate',
  'task.scheduled': 'say.scheduled',
  'task.started': 'say.started',
  'task.completed': 'say.completed',
  'task.reassigned': 'say.reassigned',
  'task.refused': 'say.refused',
  'task.cancelled': 'say.cancelled',
  'task.deleted': 'say.deleted',
  'worker.created': 'say.created',
  'worker.ready': 'say.ready',
  'worker.hung': 'say.hung',
  'worker.lost': 'say.lost',
  'worker.stopped': 'say.stopped',
  'pool.scaled': 'say.scaled',
  'pool.changed': 'say.poolChanged',
  'queue.paused': 'say.queuePaused',
  'queue.resumed': 'say.queueResumed',
  'queue.changed': 'say.queueChanged',
  'system.status': 'say.system',
  audit: 'say.audit',
}

/** The events that have a sentence: all that the contract names. */
export const knownEvents: readonly string[] = [...Object.keys(sentences), 'task.failed', 'task.progress']

/** The name of an event, as the column "Event" shows it. */
export function eventName(event: string, { t }: I18n): string {
  const key = `event.${event}`
  return isKey(key) ? t(key) : event
}

export function describeEvent(event: Event, i18n: I18n): string {
  const sentence = event.event === 'task.failed' ? failure(event) : event.event === 'task.progress' ? progress(event) : sentences[event.event]
  return sentence ? i18n.t(sentence, params(event, i18n)) : event.description
}

/** Whether somebody may have to act on it. */
export const isFailure = ({ event, data }: Event): boolean =>
  (event === 'task.failed' && data.final === true) || event === 'task.rejected' || event === 'worker.lost' || event === 'worker.hung'

/** The events among which failures are, as GET /events is asked for them. */
export const failureEvents = 'task.failed,task.rejected,worker.lost,worker.hung'

const failure = (event: Event): Key => (event.data.final === true ? 'say.failedFinal' : 'say.failedRetry')

/** A worker may tell how far it is in words only. */
const progress = (event: Event): Key => (event.data.percent == null ? 'say.progressInWords' : 'say.progress')

function params(event: Event, i18n: I18n): Params {
  const { data } = event
  return {
    task: event.taskId ?? '',
    worker: event.workerId ?? '',
    pool: event.pool ?? '',
    queue: text(data.queue),
    type: text(record(data.task).type),
    seq: text(data.submitSeq),
    time: time(event, i18n),
    percent: number(data.percent),
    message: data.message ? ` ${text(data.message)}` : '',
    retries: number(data.retries),
    max: number(data.maxRetries),
    from: number(data.from),
    to: number(data.to),
    change: changes(data.change, i18n),
    status: systemStatus(data.status, i18n),
    previous: systemStatus(data.previous, i18n),
    actor: text(data.actor),
    action: action(data.action, i18n),
    target: text(data.target),
    because: because(event, i18n),
  }
}

function because({ data }: Event, i18n: I18n): string {
  if (typeof data.reason === 'string' && data.reason !== '') return `: ${sayReason(data.reason, i18n)}`
  const fault = text(record(data.error).message) || faults(data.errors)
  return fault === '' ? '' : `: ${fault}`
}

function action(value: unknown, { t }: I18n): string {
  const key = `action.${text(value)}`
  return isKey(key) ? t(key) : text(value)
}

/** "minimum 2, paused" of {"min": 2, "paused": true}. */
function changes(value: unknown, { t }: I18n): string {
  return Object.entries(record(value))
    .map(([name, to]) => {
      if (name === 'paused') return t(to === true ? 'change.paused' : 'change.resumed')
      const key = `change.${name}`
      const said = to === null ? t(name === 'min' || name === 'max' ? 'change.asStarted' : 'change.none') : text(to)
      return isKey(key) ? t(key, { value: said }) : `${name} ${said}`
    })
    .join(', ')
}

function time({ event, data }: Event, i18n: I18n): string {
  if (event === 'task.completed') return i18n.duration(number(data.executionTimeMs))
  return typeof data.scheduledFor === 'string' ? i18n.fullTime(Date.parse(data.scheduledFor)) : ''
}

function systemStatus(value: unknown, { t }: I18n): string {
  const key = `system.${text(value)}`
  return isKey(key) ? t(key) : text(value)
}

function faults(value: unknown): string {
  if (!Array.isArray(value)) return ''
  return value.map((fault) => `${text(record(fault).field)}: ${text(record(fault).rule)}`).join('; ')
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

const number = (value: unknown): number => (typeof value === 'number' ? value : 0)
const record = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {})
