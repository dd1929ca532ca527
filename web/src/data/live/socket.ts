import type { LiveStore } from './store'

export interface SocketOptions {
  store: LiveStore
  /** Address of /ws, without query. */
  url: string
  /** Asks over HTTP whether the server answers: notices a 401, which a WebSocket hides. */
  probe: () => Promise<unknown>
  /** Whether connecting makes sense now (not while a token is asked for). */
  mayConnect: () => boolean
}

/** The server speaks at least every two seconds; after this it has gone quiet. */
export const staleAfterMs = 5000
/** Silence after which the connection is given up for dead and made anew. */
export const deadAfterMs = 12_000
const firstDelayMs = 500
const maxDelayMs = 15_000

/** Delay before attempt n (from 0): doubling up to a limit, spread by a fifth either way. */
export function backoffMs(attempt: number, random: number): number {
  const delay = Math.min(firstDelayMs * 2 ** attempt, maxDelayMs)
  return Math.round(delay * (0.8 + 0.4 * random))
}

/** Keeps one WebSocket open and hands what it says to the store. */
export class LiveSocket {
  private socket: WebSocket | null = null
  private attempt = 0
  private retry: ReturnType<typeof setTimeout> | null = null
  private watch: ReturnType<typeof setTimeout> | null = null
  private stopped = true

  constructor(private readonly options: SocketOptions) {}

  start(): void {
    if (!this.stopped) return
    this.stopped = false
    window.addEventListener('online', this.now)
    document.addEventListener('visibilitychange', this.visible)
    this.open()
  }

  stop(): void {
    this.stopped = true
    window.removeEventListener('online', this.now)
    document.removeEventListener('visibilitychange', this.visible)
    this.drop()
  }

  /** Tries at once instead of waiting for the backoff. */
  readonly now = (): void => {
    if (this.stopped || this.socket) return
    this.attempt = 0
    this.open()
  }

  private readonly visible = (): void => {
    if (document.visibilityState === 'visible') this.now()
  }

  private open(): void {
    this.drop()
    if (!this.options.mayConnect()) return
    const seq = this.options.store.seq()
    const socket = new WebSocket(seq === null ? this.options.url : `${this.options.url}?since=${encodeURIComponent(seq)}`)
    this.socket = socket
    socket.onmessage = (message: MessageEvent<unknown>) => this.received(socket, String(message.data))
    socket.onclose = (event) => this.closed(socket, event.reason || null)
    this.expect()
  }

  private received(socket: WebSocket, text: string): void {
    if (socket !== this.socket) return
    this.expect()
    if (this.options.store.receive(text, Date.now())) {
      this.attempt = 0
      return
    }
    // What was said cannot be applied: begin again from a snapshot, after the usual delay.
    this.options.store.forget()
    this.closed(socket, this.options.store.getState().connection.fault)
  }

  private closed(socket: WebSocket, reason: string | null): void {
    if (socket !== this.socket) return
    this.drop()
    if (this.stopped) return
    const delay = backoffMs(this.attempt++, Math.random())
    const now = Date.now()
    this.options.store.lost(now, now + delay, reason)
    this.retry = setTimeout(() => this.open(), delay)
    this.options.probe().catch(() => undefined)
  }

  /** Restarts the watch over the server's silence. */
  private expect(): void {
    if (this.watch) clearTimeout(this.watch)
    this.watch = setTimeout(() => {
      this.options.store.silent()
      this.watch = setTimeout(() => {
        if (this.socket) this.closed(this.socket, null)
      }, deadAfterMs - staleAfterMs)
    }, staleAfterMs)
  }

  private drop(): void {
    if (this.retry) clearTimeout(this.retry)
    if (this.watch) clearTimeout(this.watch)
    this.retry = this.watch = null
    const socket = this.socket
    this.socket = null
    if (!socket) return
    socket.onmessage = socket.onclose = null
    socket.close()
  }
}
