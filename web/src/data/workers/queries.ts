import { queryOptions } from '@tanstack/react-query'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toEndedWorker } from './mapper'

export const workerKeys = { ended: ['workers', 'ended'] as const }

/** The workers that ended in the last minute; the living ones come over the live store. */
export const endedWorkersQuery = () =>
  queryOptions({
    queryKey: workerKeys.ended,
    queryFn: async ({ signal }) => {
      const status = await request('/workers/status', json(wire.WorkersStatus, '/workers/status'), { signal })
      return status.ended.map(toEndedWorker)
    },
    refetchInterval: 5000,
  })
