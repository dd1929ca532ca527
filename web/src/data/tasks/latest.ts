import { queryOptions } from '@tanstack/react-query'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toTask } from './mapper'
import { taskKeys } from './queries'
import type { TaskFilter } from './types'

/** The newest few tasks of a filter, where no list is needed. */
export const latestTasksQuery = (filter: TaskFilter, limit: number) =>
  queryOptions({
    queryKey: [...taskKeys.all, 'latest', filter, limit] as const,
    queryFn: async ({ signal }) => {
      const page = await request('/tasks', json(wire.TaskList, '/tasks'), { query: { ...filter, limit, sort: '-submittedAt' }, signal })
      return page.tasks.map(toTask)
    },
  })
