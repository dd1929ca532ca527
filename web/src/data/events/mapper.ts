import { instant } from '@/lib/time'
import type { WireEvent } from '@/wire/schemas'
import type { Event } from './types'

export const toEvent = (wire: WireEvent): Event => ({ ...wire, timestamp: instant(wire.timestamp) })

/** Orders `stream.place` sequences: negative where a is older than b. */
export function compareSeq(a: string, b: string): number {
  const [streamA = 0, placeA = 0] = a.split('.').map(Number)
  const [streamB = 0, placeB = 0] = b.split('.').map(Number)
  return streamA - streamB || placeA - placeB
}
