import type { WorkerStatus } from '@/wire/schemas'

export interface Worker {
  id: string
  pool: string
  host: string | null
  pid: number | null
  status: WorkerStatus
  cpuPercent: number | null
  memoryMb: number | null
  assignedTasks: number
  concurrency: number | null
  completed: number | null
  failed: number | null
  startedAt: number | null
  /** When this worker last gave a sign of life, on the browser's clock. */
  heartbeatAt: number | null
  tasks: string[]
}

/** A worker that ended in the last minute; it stays listed, struck through. */
export interface EndedWorker {
  id: string
  pool: string
  cpuPercent: number | null
  memoryMb: number | null
  concurrency: number | null
  completed: number | null
  failed: number | null
  endedAt: number
  reason: string | null
}
