export interface Event {
  seq: string
  timestamp: number
  event: string
  /** English, from the server; shown where the dashboard knows no sentence of its own. */
  description: string
  taskId: string | null
  workerId: string | null
  pool: string | null
  attempt: number | null
  data: Record<string, unknown>
}

export interface EventFilter {
  event?: string
  task?: string
  worker?: string
  since?: string
  until?: string
}
