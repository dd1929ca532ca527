import * as wire from '@/wire/schemas'
import { json, nothing, request } from '../request'
import type { TaskFilter } from './types'

const path = (id: string) => `/tasks/${encodeURIComponent(id)}`

export const cancelTask = (id: string) => request(`${path(id)}/cancel`, nothing, { method: 'POST' })
export const retryTask = (id: string) => request(`${path(id)}/retry`, nothing, { method: 'POST' })
export const deleteTask = (id: string) => request(path(id), nothing, { method: 'DELETE' })

export type BulkVerb = 'cancel' | 'retry' | 'delete'

/** Acts on every task of the filter; with `dryRun` it only counts them. */
export const bulk = (verb: BulkVerb, filter: TaskFilter, dryRun: boolean) =>
  request(`/tasks/${verb}`, json(wire.Matched, `/tasks/${verb}`), { method: 'POST', body: dryRun ? { ...filter, dryRun } : filter })

export interface Submission {
  type: string
  payload?: unknown
  maxRetries?: number
}

export const submitTask = (task: Submission) => request('/tasks', json(wire.Accepted, '/tasks'), { method: 'POST', body: task })

/** What the button of the empty screens submits: long enough to be seen running. */
export const sampleTask: Submission = { type: 'sleep', payload: { ms: 3000 } }
