import { useEffect, useMemo, useSyncExternalStore } from 'react'
import { liveStore, usePaused } from '../live/hooks'
import { sessionStore } from '../session'
import { TaskList, type TaskListState } from './list'
import { readTasks } from './queries'
import type { TaskFilter, TaskSort } from './types'

/** Lists left lately: going back finds the rows, and so the place one had scrolled to. */
const kept = new Map<string, TaskList>()
const mostKept = 4

function listOf(key: string): TaskList {
  const known = kept.get(key)
  if (known) {
    kept.delete(key)
    kept.set(key, known)
    return known
  }
  const { filter, sort } = JSON.parse(key) as { filter: TaskFilter; sort: TaskSort }
  const list = new TaskList({ filter, sort, read: (cursor, limit, signal) => readTasks(filter, sort, cursor, limit, signal) })
  kept.set(key, list)
  for (const [oldest, { stop }] of kept) {
    if (kept.size <= mostKept) break
    stop()
    kept.delete(oldest)
  }
  return list
}

/** Forgets lists that were left: for tests, and when somebody else signs in. */
export const forgetLists = (): void => kept.clear()

export function useTaskList(filter: TaskFilter, sort: TaskSort): { list: TaskList; state: TaskListState } {
  const key = JSON.stringify({ filter: Object.fromEntries(Object.entries(filter).sort()), sort })
  const list = useMemo(() => listOf(key), [key])
  const state = useSyncExternalStore(list.subscribe, list.getState)
  const paused = usePaused()
  useEffect(() => {
    const unsubscribe = liveStore.onTasks(list.changed)
    if (list.getState().total === null) void list.restart()
    else list.changed('snapshot') // It missed what came while it was left.
    const onSession = sessionStore.subscribe(() => {
      if (!sessionStore.isRequired()) void list.restart()
    })
    return () => {
      unsubscribe()
      onSession()
      list.stop()
    }
  }, [list])
  useEffect(() => list.pause(paused), [list, paused])
  return { list, state }
}
