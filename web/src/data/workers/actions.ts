import { nothing, request } from '../request'

const path = (id: string) => `/workers/${encodeURIComponent(id)}`

export const drainWorker = (id: string) => request(`${path(id)}/drain`, nothing, { method: 'POST' })
export const killWorker = (id: string) => request(`${path(id)}/kill`, nothing, { method: 'POST' })
