import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { instant } from '@/lib/time'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toTask, toTaskDetail } from './mapper'
import type { TaskFilter, TaskSort } from './types'

const pageSize = 100

export const taskKeys = {
  all: ['tasks'] as const,
  lists: () => [...taskKeys.all, 'list'] as const,
  list: (filter: TaskFilter, sort: TaskSort) => [...taskKeys.lists(), filter, sort] as const,
  facets: (filter: TaskFilter) => [...taskKeys.all, 'facets', filter] as const,
  detail: (id: string) => [...taskKeys.all, 'detail', id] as const,
  logs: (id: string) => [...taskKeys.all, 'logs', id] as const,
}

export const taskListQuery = (filter: TaskFilter, sort: TaskSort) =>
  infiniteQueryOptions({
    queryKey: taskKeys.list(filter, sort),
    initialPageParam: '',
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...filter, sort, limit: pageSize, cursor: pageParam }
      const page = await request('/tasks', json(wire.TaskList, '/tasks'), { query, signal })
      return { tasks: page.tasks.map(toTask), total: page.total, nextCursor: page.nextCursor }
    },
    getNextPageParam: (last) => last.nextCursor ?? undefined,
  })

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
      return request(path, (text) => toTaskDetail(read(text), text), { signal })
    },
  })

export const taskLogsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: taskKeys.logs(id),
    initialPageParam: '',
    queryFn: async ({ pageParam, signal }) => {
      const path = `/tasks/${encodeURIComponent(id)}/logs`
      const page = await request(path, json(wire.LogPage, path), { query: { cursor: pageParam }, signal })
      return { logs: page.logs.map((line) => ({ ...line, at: instant(line.at) })), nextCursor: page.nextCursor }
    },
    getNextPageParam: (last) => last.nextCursor ?? undefined,
  })
