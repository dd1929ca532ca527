import { describe, expect, it, vi } from 'vitest'
import { makeTask } from '@/test/domain'
import { mostPerMessage, TaskList } from './list'
import type { Task, TaskFilter, TaskSort } from './types'

/** A server with tasks, newest first, that gives pages by the place of their first row. */
function setUp(count: number, { filter = {}, sort = '-submittedAt' }: { filter?: TaskFilter; sort?: TaskSort } = {}) {
  const server = { tasks: Array.from({ length: count }, (_, i) => task(count - i)), reads: [] as string[], fail: false }
  const list = new TaskList({
    filter,
    sort,
    read: (cursor, limit) => {
      server.reads.push(`${cursor}/${limit}`)
      if (server.fail) return Promise.reject(new Error('no server'))
      const from = Number(cursor || '0')
      const end = from + limit
      return Promise.resolve({ tasks: server.tasks.slice(from, end), total: server.tasks.length, nextCursor: end < server.tasks.length ? String(end) : null })
    },
  })
  return { server, list, ids: () => list.getState().rows.map((row) => row.id) }
}

const task = (n: number, part: Partial<Task> = {}): Task => makeTask({ id: `task-${n}`, submittedAt: n * 1000, status: 'pending', ...part })
const upsert = (...tasks: Task[]) => ({ upserted: tasks, removed: [] })

describe('TaskList', () => {
  it('reads the first page, and others as they are scrolled to', async () => {
    const { list, server } = setUp(1500)
    await list.restart()
    expect(list.getState()).toMatchObject({ total: 1500, complete: false, reading: null })
    expect(list.getState().rows).toHaveLength(100)
    list.reach(1200)
    await vi.waitFor(() => expect(list.getState().rows).toHaveLength(1500))
    expect(list.getState().complete).toBe(true)
    expect(server.reads).toEqual(['/100', '100/500', '600/500', '1100/500'])
  })

  it('changes rows in place, and counts new ones until they are asked for', async () => {
    const { list, ids } = setUp(3)
    await list.restart()
    list.changed(upsert(task(2, { status: 'completed' }), task(4), task(5)))
    expect(ids()).toEqual(['task-3', 'task-2', 'task-1'])
    expect(list.getState().rows[1]?.status).toBe('completed')
    expect(list.getState().fresh).toBe(2)
    list.changed(upsert(task(5, { status: 'completed' })))
    expect(list.getState().fresh).toBe(2)
    await list.show()
    expect(ids()).toEqual(['task-5', 'task-4', 'task-3', 'task-2', 'task-1'])
    expect(list.getState()).toMatchObject({ fresh: 0, total: 5 })
    expect(list.getState().rows[0]?.status).toBe('completed')
    expect(list.indexOf('task-3')).toBe(2)
    list.changed(upsert(task(3, { status: 'failed' })))
    expect(list.getState().rows[2]?.status).toBe('failed')
  })

  it('counts only what matches, and forgets what no longer does', async () => {
    const { list } = setUp(2, { filter: { status: 'pending' } })
    await list.restart()
    list.changed(upsert(task(3), task(4, { status: 'failed' })))
    expect(list.getState().fresh).toBe(1)
    list.changed(upsert(task(3, { status: 'completed' })))
    expect(list.getState().fresh).toBe(0)
  })

  it('keeps rows that no longer match in their place until it is read again', async () => {
    const { list, server, ids } = setUp(3, { filter: { status: 'pending' } })
    await list.restart()
    list.changed({ upserted: [task(2, { status: 'completed' })], removed: ['task-1'] })
    expect(ids()).toEqual(['task-3', 'task-2', 'task-1'])
    expect([...list.getState().left].sort()).toEqual(['task-1', 'task-2'])
    list.changed(upsert(task(2)))
    expect([...list.getState().left]).toEqual(['task-1'])
    server.tasks = [task(3), task(2)]
    await list.show()
    expect(ids()).toEqual(['task-3', 'task-2'])
    expect(list.getState().left.size).toBe(0)
  })

  it('loses nothing while paused', async () => {
    const { list } = setUp(2)
    await list.restart()
    list.pause(true)
    list.changed(upsert(task(1, { status: 'inProgress' }), task(3)))
    list.changed(upsert(task(1, { status: 'completed' })))
    expect(list.getState().rows[1]?.status).toBe('pending')
    expect(list.getState().fresh).toBe(1)
    list.pause(false)
    expect(list.getState().rows[1]?.status).toBe('completed')
    expect(list.getState().fresh).toBe(1)
  })

  it('lets new rows in while it follows', async () => {
    const { list, ids } = setUp(1)
    await list.restart()
    list.follow(true)
    list.changed(upsert(task(2)))
    expect(ids()).toEqual(['task-2', 'task-1'])
    list.follow(false)
    list.changed(upsert(task(3)))
    expect(ids()).toEqual(['task-2', 'task-1'])
    list.follow(true)
    expect(ids()).toEqual(['task-3', 'task-2', 'task-1'])
    list.stop()
  })

  it('leaves to scrolling what stands behind the last row that was read', async () => {
    const { list } = setUp(1000)
    await list.restart()
    list.changed(upsert(task(5)))
    expect(list.getState().fresh).toBe(0)
  })

  // In full messages, too: what they may have left out is read again, which must not put off the cut.
  it.each([100, mostPerMessage])('stays small however long it follows, %d tasks a message', async (size) => {
    vi.useFakeTimers()
    const { list, server } = setUp(200)
    await list.restart()
    list.follow(true)
    const messages = 60
    for (let k = 0; k < messages; k++) {
      const added = Array.from({ length: size }, (_, i) => task(201 + k * size + i))
      server.tasks = [...[...added].reverse(), ...server.tasks]
      list.changed(upsert(...added))
      await vi.advanceTimersByTimeAsync(250)
      // What has come since the last cut, which is due once there are too many and its time has passed.
      expect(list.getState().rows.length).toBeLessThan(1500 + 14 * size)
    }
    expect(list.getState().rows[0]?.id).toBe(`task-${200 + messages * size}`)
    list.stop()
    vi.useRealTimers()
  })

  it('reads the rows in view again where a message may have left changes out', async () => {
    vi.useFakeTimers()
    const { list, server } = setUp(700)
    await list.restart()
    list.view(10, 40)
    server.tasks = server.tasks.map((known) => ({ ...known, status: 'completed' }))
    list.changed(upsert(...Array.from({ length: mostPerMessage }, (_, i) => task(i + 1, { status: 'completed' }))))
    expect(list.getState().rows[20]?.status).toBe('pending')
    await vi.advanceTimersByTimeAsync(3000)
    expect(list.getState().rows[20]?.status).toBe('completed')
    vi.useRealTimers()
  })

  it('begins again after a new connection, or says that something was missed', async () => {
    const { list, server, ids } = setUp(700)
    await list.restart()
    server.tasks = [task(701), ...server.tasks]
    list.changed('snapshot')
    await vi.waitFor(() => expect(ids()[0]).toBe('task-701'))
    list.reach(650)
    await vi.waitFor(() => expect(list.getState().complete).toBe(true))
    list.view(400, 440)
    list.changed('snapshot')
    expect(list.getState().freshOpen).toBe(true)
    expect(ids()).toHaveLength(701)
  })

  it('says why nothing could be read, and tries again', async () => {
    const { list, server } = setUp(1)
    server.fail = true
    await list.restart()
    expect(list.getState()).toMatchObject({ total: null, reading: null, error: new Error('no server') })
    server.fail = false
    await list.restart()
    expect(list.getState()).toMatchObject({ total: 1, error: null })
  })
})
