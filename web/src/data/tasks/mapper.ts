import { instant, instantOrNull } from '@/lib/time'
import { rawMembers } from '@/lib/rawjson'
import type { WireTask, WireTaskDetail } from '@/wire/schemas'
import { toEvent } from '../events/mapper'
import type { Task, TaskDetail } from './types'

export function toTask(wire: WireTask): Task {
  return {
    ...wire,
    error: wire.error && { ...wire.error, at: instantOrNull(wire.error.at) },
    submittedAt: instant(wire.submittedAt),
    scheduledFor: instantOrNull(wire.scheduledFor),
    startedAt: instantOrNull(wire.startedAt),
    finishedAt: instantOrNull(wire.finishedAt),
    deadline: instantOrNull(wire.deadline),
  }
}

/** `text` is the answer the wire object was read from: the source of the exact JSON. */
export function toTaskDetail(wire: WireTaskDetail, text: string, askedAt: number): TaskDetail {
  const raw = rawMembers(text)
  return {
    ...toTask(wire),
    payload: raw.get('payload') ?? 'null',
    result: raw.get('result') ?? 'null',
    payloadExpired: wire.payloadExpired,
    history: wire.history.map(toEvent),
    historyTruncated: wire.historyTruncated,
    askedAt,
  }
}
