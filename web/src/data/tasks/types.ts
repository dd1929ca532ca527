import type { Priority, TaskStatus } from '@/wire/schemas'
import type { Event } from '../events/types'

export interface TaskError {
  message: string
  code: string | null
  attempt: number | null
  at: number | null
}

/** A task as lists know it: everything but payload and result. Times are epoch milliseconds. */
export interface Task {
  id: string
  type: string
  queue: string
  priority: Priority
  status: TaskStatus
  attempt: number
  retries: number
  maxRetries: number
  timeoutMs: number | null
  retentionMs: number | null
  backoff: { policy: string; baseMs: number; maxMs: number; jitter: number } | null
  tags: Record<string, string>
  fence: number | null
  error: TaskError | null
  progress: { percent: number | null; message: string | null } | null
  worker: string | null
  pool: string | null
  submittedAt: number
  scheduledFor: number | null
  startedAt: number | null
  finishedAt: number | null
  deadline: number | null
  waitTimeMs: number | null
  executionTimeMs: number | null
}

export interface TaskDetail extends Task {
  /** Payload and result as the server wrote them: text, so that no digit is lost. */
  payload: string
  result: string
  payloadExpired: boolean
  /** Oldest first. */
  history: Event[]
  historyTruncated: boolean
  /** When this was asked for, by this machine's clock: what changed since may be missing. */
  askedAt: number
}

export interface TaskPage {
  tasks: Task[]
  total: number
  nextCursor: string | null
}

export interface LogLine {
  at: number
  level: string
  message: string
  attempt: number | null
}

export const sorts = ['submittedAt', '-submittedAt', 'priority', '-priority', 'executionTimeMs', '-executionTimeMs'] as const
export type TaskSort = (typeof sorts)[number]

/** The filters of GET /tasks; a comma means "or". */
export interface TaskFilter {
  status?: string
  type?: string
  queue?: string
  priority?: string
  worker?: string
  tag?: string
  q?: string
}
