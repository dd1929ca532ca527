import type { WireQueue } from '@/wire/schemas'
import type { Queue } from './types'

export function toQueue(wire: WireQueue): Queue {
  const { critical = 0, high = 0, medium = 0, low = 0 } = wire.depth
  return { ...wire, depth: { critical, high, medium, low }, waiting: critical + high + medium + low }
}
