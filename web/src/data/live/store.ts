import { LiveMessage } from '@/wire/schemas'
import { toTask } from '../tasks/mapper'
import type { Task } from '../tasks/types'
import { eventsSince, fromSnapshot, snapshotEvents, withDelta, type LiveData } from './model'

/** connecting: no picture yet · live · stale: connected but silent · disconnected: trying again. */
export type Phase = 'connecting' | 'live' | 'stale' | 'disconnected'

/** What came while there was no connection. */
export interface Missed {
  /** When the connection was lost, on the browser's clock. */
  lostAt: number
  afterMs: number
  events: number
  failures: number
  /** The snapshot has the newest events only: there were more. */
  more: boolean
}

export interface Connection {
  phase: Phase
  /** When the last message came, on the browser's clock. */
  lastMessageAt: number | null
  /** When the next attempt to connect is due, while disconnected. */
  retryAt: number | null
  /** What could not be read or why the server closed, in its own words. */
  fault: string | null
  /** Set when a lost connection is back, until it is dismissed. */
  caughtUp: Missed | null
  /** Messages in the last ten seconds, per second. */
  perSecond: number
}

export interface LiveState {
  /** What pages show; stands still while paused. */
  data: LiveData | null
  paused: boolean
  connection: Connection
}

/** What a message says of tasks: all that changed, or a new beginning after which anything may have. */
export type TaskChanges = { upserted: readonly Task[]; removed: readonly string[] } | 'snapshot'

const rateWindowMs = 10_000

/**
 * The live picture of the system. The socket feeds it; pages read it through hooks. While
 * paused it goes on taking messages in and only stops showing them, so that resuming is
 * at once up to date.
 */
export class LiveStore {
  private latest: LiveData | null = null
  private state: LiveState = {
    data: null,
    paused: false,
    connection: { phase: 'connecting', lastMessageAt: null, retryAt: null, fault: null, caughtUp: null, perSecond: 0 },
  }
  private lostAt: number | null = null
  private arrivals: number[] = []
  private readonly listeners = new Set<() => void>()
  private readonly taskListeners = new Set<(changes: TaskChanges) => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Hears of every change of a task, also while paused: lists count what they do not show. */
  readonly onTasks = (listener: (changes: TaskChanges) => void): (() => void) => {
    this.taskListeners.add(listener)
    return () => this.taskListeners.delete(listener)
  }

  readonly getState = (): LiveState => this.state

  /** Where to resume, or null to ask for a snapshot. */
  seq(): number | string | null {
    return this.latest?.seq ?? null
  }

  /** Takes one message of the socket in; false where it does not fit and a snapshot is needed. */
  receive(text: string, now: number): boolean {
    const parsed = LiveMessage.safeParse(toJson(text))
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      this.connect({ fault: issue ? `${issue.path.join('.')}: ${issue.message}` : 'unreadable message' })
      return false
    }
    const before = this.latest
    const message = parsed.data
    let changes: TaskChanges | null = null
    if (message.type === 'snapshot') {
      this.latest = fromSnapshot(message, now, before)
      changes = 'snapshot'
    } else if (before) {
      const upserted = message.tasks?.upserted.map(toTask) ?? []
      this.latest = withDelta(before, message, now, upserted)
      if (message.tasks) changes = { upserted, removed: message.tasks.removed }
    } else return false
    this.arrived(now, before, this.latest)
    if (changes) for (const listener of this.taskListeners) listener(changes)
    return true
  }

  lost(now: number, retryAt: number | null, fault: string | null): void {
    this.lostAt ??= this.latest ? now : null
    this.connect({ phase: 'disconnected', retryAt, fault, perSecond: 0 })
  }

  silent(): void {
    if (this.state.connection.phase === 'live') this.connect({ phase: 'stale', perSecond: 0 })
  }

  /** Forgets the picture: what comes next must be a snapshot. */
  forget(): void {
    this.latest = null
  }

  pause(paused: boolean): void {
    this.set({ ...this.state, paused, data: paused ? this.state.data : this.latest })
  }

  dismissCaughtUp(): void {
    this.connect({ caughtUp: null })
  }

  private arrived(now: number, before: LiveData | null, after: LiveData): void {
    this.arrivals = [...this.arrivals.filter((at) => now - at < rateWindowMs), now]
    const connection: Connection = {
      ...this.state.connection,
      phase: 'live',
      lastMessageAt: now,
      retryAt: null,
      fault: null,
      perSecond: this.arrivals.length / (rateWindowMs / 1000),
    }
    if (this.lostAt !== null) {
      connection.caughtUp = missed(before, after, this.lostAt, now)
      this.lostAt = null
      this.arrivals = [now]
    }
    this.set({ ...this.state, data: this.state.paused ? this.state.data : after, connection })
  }

  private connect(change: Partial<Connection>): void {
    this.set({ ...this.state, connection: { ...this.state.connection, ...change } })
  }

  private set(state: LiveState): void {
    this.state = state
    for (const listener of this.listeners) listener()
  }
}

function missed(before: LiveData | null, after: LiveData, lostAt: number, now: number): Missed {
  const events = eventsSince(before?.events ?? [], after.events)
  const failures = eventsSince(before?.failures ?? [], after.failures)
  return { lostAt, afterMs: now - lostAt, events, failures, more: events >= snapshotEvents && events === after.events.length }
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
