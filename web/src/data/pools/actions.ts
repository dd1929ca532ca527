import { nothing, request } from '../request'

/** What is not named stays; null goes back to what the pool's processes were started with. */
export interface PoolChange {
  min?: number | null
  max?: number | null
  paused?: boolean
}

export const changePool = (name: string, change: PoolChange) => request(`/pools/${encodeURIComponent(name)}`, nothing, { method: 'PATCH', body: change })
