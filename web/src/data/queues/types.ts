import type { Priority, WireQueue } from '@/wire/schemas'

export interface Queue extends Omit<WireQueue, 'depth'> {
  depth: Record<Priority, number>
  waiting: number
}
