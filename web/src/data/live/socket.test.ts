import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deltaJson, snapshotJson } from '@/test/wire'
import { backoffMs, deadAfterMs, LiveSocket, staleAfterMs } from './socket'
import { LiveStore } from './store'

/** A socket whose other end is the test. */
class FakeSocket {
  static all: FakeSocket[] = []
  onmessage: ((message: { data: string }) => void) | null = null
  onclose: ((event: { reason: string }) => void) | null = null
  close = vi.fn()
  constructor(readonly url: string) {
    FakeSocket.all.push(this)
  }
  say(message: unknown) {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
  drop(reason = '') {
    this.onclose?.({ reason })
  }
}

const newest = (): FakeSocket => {
  const socket = FakeSocket.all[FakeSocket.all.length - 1]
  if (!socket) throw new Error('no socket was opened')
  return socket
}

const opened: LiveSocket[] = []

function setUp(mayConnect = () => true) {
  const store = new LiveStore()
  const probe = vi.fn(() => Promise.resolve())
  const socket = new LiveSocket({ store, url: 'ws://host/ws', probe, mayConnect })
  socket.start()
  opened.push(socket)
  return { store, probe, socket, phase: () => store.getState().connection.phase }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', FakeSocket)
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  FakeSocket.all = []
})
afterEach(() => {
  for (const socket of opened.splice(0)) socket.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('backoffMs', () => {
  it('doubles up to a limit and spreads', () => {
    expect([0, 1, 2, 10].map((attempt) => backoffMs(attempt, 0.5))).toEqual([500, 1000, 2000, 15_000])
    expect(backoffMs(0, 0)).toBe(400)
    expect(backoffMs(0, 1)).toBe(600)
  })
})

describe('LiveSocket', () => {
  it('connects anew with growing delays and resumes where it was', () => {
    const { phase, probe } = setUp()
    newest().say(snapshotJson({ seq: 41 }))
    expect(phase()).toBe('live')
    newest().drop()
    expect(phase()).toBe('disconnected')
    expect(probe).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(500)
    expect(FakeSocket.all).toHaveLength(2)
    expect(newest().url).toBe('ws://host/ws?since=41')
    newest().drop()
    vi.advanceTimersByTime(999)
    expect(FakeSocket.all).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(FakeSocket.all).toHaveLength(3)
    newest().say(deltaJson({ seq: 42 }))
    expect(phase()).toBe('live')
  })

  it('is stale after silence, and gives up the connection after more of it', () => {
    const { phase } = setUp()
    const first = newest()
    first.say(snapshotJson())
    vi.advanceTimersByTime(staleAfterMs - 1)
    expect(phase()).toBe('live')
    vi.advanceTimersByTime(1)
    expect(phase()).toBe('stale')
    vi.advanceTimersByTime(deadAfterMs - staleAfterMs)
    expect(phase()).toBe('disconnected')
    expect(first.close).toHaveBeenCalled()
  })

  it('asks for a snapshot after a message it cannot read', () => {
    const { store } = setUp()
    newest().say(snapshotJson({ seq: 9 }))
    newest().say({ type: 'delta', seq: 10 })
    expect(store.getState().connection.fault).toContain('at')
    vi.advanceTimersByTime(500)
    expect(newest().url).toBe('ws://host/ws')
  })

  it('tries at once when asked to, or when the network is back', () => {
    const { socket } = setUp()
    newest().drop()
    socket.now()
    expect(FakeSocket.all).toHaveLength(2)
    newest().drop()
    window.dispatchEvent(new Event('online'))
    expect(FakeSocket.all).toHaveLength(3)
  })

  it('does not connect while a token is asked for', () => {
    let allowed = false
    const { socket } = setUp(() => allowed)
    expect(FakeSocket.all).toHaveLength(0)
    allowed = true
    socket.now()
    expect(FakeSocket.all).toHaveLength(1)
  })

  it('is quiet once stopped', () => {
    const { socket } = setUp()
    newest().drop()
    socket.stop()
    vi.advanceTimersByTime(60_000)
    expect(FakeSocket.all).toHaveLength(1)
  })
})
