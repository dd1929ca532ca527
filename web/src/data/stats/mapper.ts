import { instant } from '@/lib/time'
import type { WireSeries, WireStats } from '@/wire/schemas'
import { toEvent } from '../events/mapper'
import type { Series, Stats } from './types'

export const toStats = (wire: WireStats): Stats => ({ ...wire, updatedAt: instant(wire.updatedAt) })

export const toSeries = (wire: WireSeries): Series => ({
  ...wire,
  from: instant(wire.from),
  queueLatencyMs: wire.queueLatencyMs ?? { p50: [], p99: [] },
  marks: wire.marks.map(toEvent),
})
