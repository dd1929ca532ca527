import { infiniteQueryOptions } from '@tanstack/react-query'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toEvent } from './mapper'
import type { EventFilter } from './types'

export const eventKeys = {
  all: ['events'] as const,
  list: (filter: EventFilter) => [...eventKeys.all, filter] as const,
}

export const eventsQuery = (filter: EventFilter) =>
  infiniteQueryOptions({
    queryKey: eventKeys.list(filter),
    initialPageParam: '',
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...filter, limit: 200, cursor: pageParam }
      const page = await request('/events', json(wire.EventPage, '/events'), { query, signal })
      return { events: page.events.map(toEvent), nextCursor: page.nextCursor }
    },
    getNextPageParam: (last) => last.nextCursor ?? undefined,
  })
