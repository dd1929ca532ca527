import { describe, expect, it } from 'vitest'
import { deltaJson, epoch, eventJson, snapshotJson, statsJson } from '@/test/wire'
import { LiveStore } from './store'

const text = (value: unknown) => JSON.stringify(value)
const status = (store: LiveStore) => store.getState().data?.stats.systemStatus

function connected(): LiveStore {
  const store = new LiveStore()
  store.receive(text(snapshotJson()), epoch)
  return store
}

describe('LiveStore', () => {
  it('is live with the first snapshot', () => {
    const store = new LiveStore()
    expect(store.getState().connection.phase).toBe('connecting')
    expect(store.receive(text(snapshotJson({ seq: 5 })), epoch)).toBe(true)
    expect(store.getState().connection).toMatchObject({ phase: 'live', lastMessageAt: epoch })
    expect(store.seq()).toBe(5)
  })

  it('stands still while paused and is up to date at once after', () => {
    const store = connected()
    store.pause(true)
    store.receive(text(deltaJson({ stats: statsJson({ systemStatus: 'Recovering' }) })), epoch + 1000)
    expect(status(store)).toBe('Stable')
    expect(store.getState().connection.lastMessageAt).toBe(epoch + 1000)
    store.pause(false)
    expect(status(store)).toBe('Recovering')
  })

  it('goes stale when nothing comes, and live again with the next message', () => {
    const store = connected()
    store.silent()
    expect(store.getState().connection.phase).toBe('stale')
    store.receive(text(deltaJson()), epoch + 9000)
    expect(store.getState().connection.phase).toBe('live')
  })

  it('keeps the picture while disconnected and says what was missed after', () => {
    const store = connected()
    store.lost(epoch + 1000, epoch + 1500, null)
    store.lost(epoch + 2000, epoch + 3000, 'going away')
    expect(store.getState().connection).toMatchObject({ phase: 'disconnected', retryAt: epoch + 3000, fault: 'going away' })
    expect(status(store)).toBe('Stable')
    store.receive(text(snapshotJson({ events: [eventJson({ seq: '3.0' }), eventJson({ seq: '2.0' }), eventJson()] })), epoch + 13_000)
    expect(store.getState().connection).toMatchObject({ phase: 'live', retryAt: null, caughtUp: { afterMs: 12_000, events: 2 } })
    store.dismissCaughtUp()
    expect(store.getState().connection.caughtUp).toBeNull()
  })

  it.each([['not JSON', '{'], ['an unknown type', '{"type":"hello"}'], ['a wrong field', text({ ...snapshotJson(), stats: { systemStatus: 'Fine' } })]])('refuses %s and says why', (_, message) => {
    const store = new LiveStore()
    expect(store.receive(message, epoch)).toBe(false)
    expect(store.getState().connection.fault).not.toBeNull()
  })

  it('refuses a delta without a snapshot before it', () => {
    const store = connected()
    store.forget()
    expect(store.seq()).toBeNull()
    expect(store.receive(text(deltaJson()), epoch)).toBe(false)
  })
})
