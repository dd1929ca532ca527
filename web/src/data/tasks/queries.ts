import { queryOptions } from '@tanstack/react-query'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toTask, toTaskDetail } from './mapper'
import type { TaskFilter, TaskPage, TaskSort } from './types'

export const taskKeys = {
  all: ['tasks'] as const,
  facets: (filter: TaskFilter) => [...taskKeys.all, 'facets', filter] as const,
  detail: (id: string) => [...taskKeys.all, 'detail', id] as const,
  logs: (id: string) => [...taskKeys.all, 'logs', id] as const,
}

/** One page of the tasks of a filter, for lists that read on as they are scrolled. */
export async function readTasks(filter: TaskFilter, sort: TaskSort, cursor: string, limit: number, signal?: AbortSignal): Promise<TaskPage> {
  const page = await request('/tasks', json(wire.TaskList, '/tasks'), { query: { ...filter, sort, limit, cursor }, ...(signal && { signal }) })
  return { tasks: page.tasks.map(toTask), total: page.total, nextCursor: page.nextCursor }
}

/** How the tasks of a filter divide by status, type, queue and priority. */
export const taskFacetsQuery = (filter: TaskFilter) =>
  queryOptions({
    queryKey: taskKeys.facets(filter),
    queryFn: async ({ signal }) => {
      const page = await request('/tasks', json(wire.TaskList, '/tasks'), { query: { ...filter, facets: 1, limit: 1 }, signal })
      return { total: page.total, ...page.facets }
    },
  })

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: taskKeys.detail(id),
    queryFn: ({ signal }) => {
      const path = `/tasks/${encodeURIComponent(id)}`
      const read = json(wire.TaskDetail, path)
      const askedAt = Date.now()
      return request(path, (text) => toTaskDetail(read(text), text, askedAt), { signal })
    },
  })
