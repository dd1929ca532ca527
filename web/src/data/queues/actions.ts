import { nothing, request } from '../request'

const path = (name: string) => `/queues/${encodeURIComponent(name)}`

export const pauseQueue = (name: string) => request(`${path(name)}/pause`, nothing, { method: 'POST' })
export const resumeQueue = (name: string) => request(`${path(name)}/resume`, nothing, { method: 'POST' })
