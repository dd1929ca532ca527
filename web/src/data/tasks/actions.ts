import * as wire from '@/wire/schemas'
import { json, nothing, request } from '../request'
import type { TaskFilter } from './types'

const path = (id: string) => `/tasks/${encodeURIComponent(id)}`

export const cancelTask = (id: string) => request(`${path(id)}/cancel`, nothing, { method: 'POST' })
export const retryTask = (id: string) => request(`${path(id)}/retry`, nothing, { method: 'POST' })
export const deleteTask = (id: string) => request(path(id), nothing, { method: 'DELETE' })

export type BulkVerb = 'cancel' | 'retry' | 'delete'
/** What a bulk action is for: tasks by id, or all of a filter. */
export type BulkScope = { ids: readonly string[] } | TaskFilter

/** Acts on every task of the scope to which the verb can be applied; with `dryRun` it only counts them. */
export const bulk = (verb: BulkVerb, scope: BulkScope, dryRun: boolean) =>
  request(`/tasks/${verb}`, json(wire.Matched, `/tasks/${verb}`), { method: 'POST', body: dryRun ? { ...scope, dryRun } : scope })

export interface Submission {
  type: string
  payload?: unknown
  maxRetries?: number
}

export const submitTask = (task: Submission) => request('/tasks', json(wire.Accepted, '/tasks'), { method: 'POST', body: task })

/** Submits a task given as JSON text, so that the digits of its payload stay. */
export const submitText = (text: string) => request('/tasks', json(wire.Accepted, '/tasks'), { method: 'POST', text })

/** What the button of the empty screens submits: long enough to be seen running. */
export const sampleTask: Submission = { type: 'sleep', payload: { ms: 3000 } }
