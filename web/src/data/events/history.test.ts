import { describe, expect, it, vi } from 'vitest'
import { makeEvent } from '@/test/domain'
import { EventHistory, type EventPage } from './history'
import type { Event } from './types'

const at = (n: number, part: Partial<Event> = {}) => makeEvent({ seq: `${n}.0`, timestamp: n * 1000, ...part })
const span = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => at(from - i))
const seqs = (history: EventHistory) => history.getState().events.map((event) => Number.parseInt(event.seq, 10))

/** A server with the events 1 to `newest`, in pages of `size`. */
function server(newest: { n: number }, size: number) {
  return vi.fn(({ cursor, since }: { cursor?: string; since?: string }): Promise<EventPage> => {
    const first = cursor === undefined ? newest.n : Number(cursor)
    const low = since === undefined ? 1 : Math.max(1, Date.parse(since) / 1000)
    const last = Math.max(low, first - size + 1)
    return Promise.resolve({ events: span(first, last), nextCursor: last > low ? String(last - 1) : null })
  })
}
const everything = () => true
const head = () => null

describe('EventHistory', () => {
  it('reads page after page, down to the end', async () => {
    const history = new EventHistory({ read: server({ n: 7 }, 3), matches: everything, head })
    await history.readOlder()
    expect(seqs(history)).toEqual([7, 6, 5])
    await history.readOlder()
    await history.readOlder()
    expect(seqs(history)).toEqual([7, 6, 5, 4, 3, 2, 1])
    expect(history.getState().older).toBe('none')
  })

  it('puts what comes live on top, each once', async () => {
    const history = new EventHistory({ read: server({ n: 3 }, 10), matches: everything, head })
    await history.readOlder()
    history.join(span(5, 2))
    history.join(span(5, 2))
    expect(seqs(history)).toEqual([5, 4, 3, 2, 1])
  })

  it('reads what it missed where live events do not join on', async () => {
    const newest = { n: 3 }
    const read = server(newest, 4)
    const history = new EventHistory({ read, matches: everything, head })
    await history.readOlder()
    newest.n = 12
    history.join(span(14, 13))
    await vi.waitFor(() => expect(seqs(history)[0]).toBe(14))
    expect(seqs(history)).toEqual([14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })

  it('begins anew where too much was missed', async () => {
    const newest = { n: 3 }
    const history = new EventHistory({ read: server(newest, 4), matches: everything, head })
    await history.readOlder()
    newest.n = 100
    history.join([at(100)])
    await vi.waitFor(() => expect(seqs(history)[0]).toBe(100))
    expect(seqs(history)).toEqual(span(100, 81).map((event) => Number.parseInt(event.seq, 10)))
    await history.readOlder()
    expect(seqs(history).at(-1)).toBe(77)
  })

  it('goes on past pages without a match, and keeps to what matches', async () => {
    const history = new EventHistory({ read: server({ n: 9 }, 2), matches: (event) => event.timestamp <= 3000, head })
    await history.readOlder()
    expect(seqs(history)).toEqual([3, 2])
    history.join([at(11), at(9)])
    expect(seqs(history)[0]).toBe(3)
  })

  it('asks for nothing while live events join on to what was read, matching or not', async () => {
    const read = server({ n: 20 }, 50)
    const history = new EventHistory({ read, matches: (event) => event.timestamp === 4000, head: () => at(20) })
    await history.readOlder()
    history.join(span(30, 15))
    history.join(span(45, 29))
    expect(seqs(history)).toEqual([4])
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('says that reading failed, and tries again when asked', async () => {
    const read = vi.fn().mockRejectedValueOnce(new Error('no')).mockResolvedValueOnce({ events: [at(1)], nextCursor: null })
    const history = new EventHistory({ read, matches: everything, head })
    await history.readOlder()
    expect(history.getState()).toMatchObject({ older: 'failed', events: [] })
    await history.readOlder()
    expect(history.getState()).toMatchObject({ older: 'none', error: null })
  })
})
