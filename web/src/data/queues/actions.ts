import * as wire from '@/wire/schemas'
import { json, nothing, request } from '../request'
import { toQueue } from './mapper'

const path = (name: string) => `/queues/${encodeURIComponent(name)}`

export const pauseQueue = (name: string) => request(`${path(name)}/pause`, nothing, { method: 'POST' })
export const resumeQueue = (name: string) => request(`${path(name)}/resume`, nothing, { method: 'POST' })

/** Changes what is named in the body and leaves the rest. */
export const changeQueue = async (name: string, body: object) => toQueue(await request(path(name), json(wire.Queue, path(name)), { method: 'PATCH', body }))
