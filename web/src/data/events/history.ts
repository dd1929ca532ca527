import { compareSeq } from './mapper'
import type { Event } from './types'

export interface EventPage {
  events: Event[]
  nextCursor: string | null
}

/** Reads one page, newest first: from `cursor` on, or what is not older than `since`. */
export type ReadPage = (query: { cursor?: string; since?: string }, signal: AbortSignal) => Promise<EventPage>

export interface HistoryState {
  /** Newest first, each once, without a hole. */
  events: readonly Event[]
  /** What is before them: there may be more, it is being read, reading failed, or there is none. */
  older: 'more' | 'reading' | 'failed' | 'none'
  error: unknown
}

export interface HistoryOptions {
  read: ReadPage
  /** What the server's filter cannot choose by itself. */
  matches: (event: Event) => boolean
  /** The newest event the live store has now: what is read after that includes it. */
  head: () => Event | null
}

/** So many pages are read to close a hole; one that is wider begins the list anew. */
const mostPagesBetween = 5
/** As many as a reader scrolls through; what is older than these is not kept. */
export const mostHeld = 200_000

/**
 * Events from the newest back to where somebody has scrolled. Pages are read as they are
 * wanted; what the live store brings is put on top, and where it does not join on to what is
 * there (after a pause, or a lost connection) the missing stretch is read first.
 */
export class EventHistory {
  private state: HistoryState = { events: [], older: 'more', error: null }
  private cursor: string | null = null
  /** The newest event, matching or not, up to which nothing is missing. */
  private joined: Event | null = null
  private closing = false
  private abort = new AbortController()
  private readonly listeners = new Set<() => void>()

  constructor(private readonly options: HistoryOptions) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly getState = (): HistoryState => this.state

  /** Reads the first page; the function it returns gives up what is being read. */
  start(): () => void {
    this.abort = new AbortController()
    if (this.state.events.length === 0) void this.readOlder()
    return () => {
      this.abort.abort()
      if (this.state.older === 'reading') this.set({ older: 'more' })
    }
  }

  /** Reads the next older page, unless one is being read or there is none. */
  async readOlder(): Promise<void> {
    if (this.state.older === 'reading' || this.state.older === 'none') return
    this.set({ older: 'reading', error: null })
    const { signal } = this.abort
    const head = this.options.head()
    try {
      for (let found = false; !found; ) {
        const page = await this.options.read(this.cursor === null ? {} : { cursor: this.cursor }, signal)
        if (signal.aborted) return
        this.joined ??= head
        this.cursor = page.nextCursor
        // A page without a match is no end: the server searched for a while and goes on from there.
        found = this.append(page.events) || page.nextCursor === null
      }
      this.set({ older: this.cursor === null || this.state.events.length >= mostHeld ? 'none' : 'more' })
    } catch (error) {
      if (!signal.aborted) this.set({ older: 'failed', error })
    }
  }

  private append(read: readonly Event[]): boolean {
    const oldest = this.state.events[this.state.events.length - 1]
    const fresh = read.filter((event) => this.options.matches(event) && (!oldest || compareSeq(event.seq, oldest.seq) < 0))
    if (fresh.length > 0) this.set({ events: [...this.state.events, ...fresh] })
    return fresh.length > 0
  }

  /** Puts on top what is newer. `live` is newest first; between it and what is here some may be missing. */
  join(live: readonly Event[]): void {
    const [head] = live
    const joined = this.joined ?? this.state.events[0]
    if (!head || this.closing) return
    const from = joined ? live.findIndex((event) => compareSeq(event.seq, joined.seq) <= 0) : live.length
    if (joined && from < 0) {
      void this.close(joined, live)
      return
    }
    this.put(live.slice(0, from))
    this.joined = head
  }

  /** Reads what lies between the two. */
  private async close(joined: Event, live: readonly Event[]): Promise<void> {
    this.closing = true
    const { signal } = this.abort
    const since = new Date(joined.timestamp).toISOString()
    const between: Event[] = []
    let cursor: string | null = null
    try {
      for (let pages = 1; ; pages++) {
        const page: EventPage = await this.options.read(cursor === null ? { since } : { since, cursor }, signal)
        if (signal.aborted) return
        between.push(...page.events)
        cursor = page.nextCursor
        if (cursor === null || page.events.some((event) => compareSeq(event.seq, joined.seq) <= 0)) break
        if (pages === mostPagesBetween) {
          this.cursor = cursor
          this.set({ events: [], older: 'more' })
          break
        }
      }
      const [read] = between
      this.put([...live.filter((event) => !read || compareSeq(event.seq, read.seq) > 0), ...between])
      this.joined = live[0] ?? joined
    } catch {
      // The next message tries again.
    } finally {
      this.closing = false
    }
  }

  private put(events: readonly Event[]): void {
    const newest = this.state.events[0]
    const added = events.filter((event) => this.options.matches(event) && (!newest || compareSeq(event.seq, newest.seq) > 0))
    if (added.length > 0) this.set({ events: [...added, ...this.state.events].slice(0, mostHeld) })
  }

  private set(change: Partial<HistoryState>): void {
    this.state = { ...this.state, ...change }
    for (const listener of this.listeners) listener()
  }
}
