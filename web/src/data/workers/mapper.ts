import { instant, instantOrNull } from '@/lib/time'
import type { WireEndedWorker, WireWorker } from '@/wire/schemas'
import type { EndedWorker, Worker } from './types'

/**
 * The age of a heartbeat is counted from the moment the message came, so that a browser
 * whose clock is wrong still shows it right.
 */
export function toWorker(wire: WireWorker, receivedAt: number): Worker {
  const { lastHeartbeat, lastHeartbeatAgoMs, ...worker } = wire
  return {
    ...worker,
    startedAt: instantOrNull(wire.startedAt),
    heartbeatAt: lastHeartbeatAgoMs === null ? instantOrNull(lastHeartbeat) : receivedAt - lastHeartbeatAgoMs,
  }
}

export function toEndedWorker(wire: WireEndedWorker): EndedWorker {
  const { id, pool, cpuPercent, memoryMb, concurrency, completed, failed, reason } = wire
  return { id, pool, cpuPercent, memoryMb, concurrency, completed, failed, reason, endedAt: instant(wire.endedAt) }
}
