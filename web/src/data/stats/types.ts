import type { SystemStatus, TaskStatus } from '@/wire/schemas'
import type { Event } from '../events/types'

export interface Stats {
  systemStatus: SystemStatus
  reason: string | null
  workers: { active: number; idle: number }
  tasks: Record<TaskStatus, number> & { total: number }
  averageExecutionTimeMs: number | null
  throughputPerMinute: number | null
  queueLatencyMs: { p50: number | null; p99: number | null } | null
  uptime: string | null
  updatedAt: number
}

/** Values at from, from + stepMs, …; null where nothing is known. */
export type Line = (number | null)[]

export interface Series {
  from: number
  stepMs: number
  tasks: Record<string, Line>
  types: Record<string, number>
  waiting: Record<string, Line>
  /** Tasks kept, by status and in total; null before the API started. */
  counts: Record<string, Line>
  queueLatencyMs: { p50: Line; p99: Line }
  averageExecutionTimeMs: Line
  workers: Record<string, { cpuPercent: Line; memoryMb: Line }>
  marks: Event[]
}

export const windows = ['5m', '15m', '1h', '6h', '24h'] as const
export type Window = (typeof windows)[number]
