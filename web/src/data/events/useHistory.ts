import { useEffect, useMemo, useSyncExternalStore } from 'react'
import * as wire from '@/wire/schemas'
import { liveStore, useLive } from '../live/hooks'
import { json, request } from '../request'
import { EventHistory, type HistoryState } from './history'
import { toEvent } from './mapper'
import type { Event, EventFilter } from './types'

const pageSize = 500
const nothing: readonly Event[] = []

interface HistoryHook extends HistoryState {
  readOlder: () => void
}

/** The events of a filter: live on top unless the filter ends in the past, older ones as they are asked for. */
export function useHistory(filter: EventFilter, matches: (event: Event) => boolean): HistoryHook {
  const key = JSON.stringify(filter)
  // Another filter is another history; `matches` goes with it.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const history = useMemo(() => make(filter, matches), [key])
  useEffect(() => history.start(), [history])
  const live = useLive((data) => data.events) ?? nothing
  const state = useSyncExternalStore(history.subscribe, history.getState)
  const joins = filter.until === undefined && state.older !== 'reading' && state.older !== 'failed'
  useEffect(() => {
    if (joins) history.join(live)
  }, [history, live, joins])
  return { ...state, readOlder: () => void history.readOlder() }
}

function make(filter: EventFilter, matches: (event: Event) => boolean): EventHistory {
  return new EventHistory({
    matches,
    head: () => liveStore.getState().data?.events[0] ?? null,
    read: async ({ cursor, since = filter.since }, signal) => {
      const query = { ...filter, since, limit: pageSize, cursor }
      const page = await request('/events', json(wire.EventPage, '/events'), { query, signal })
      return { events: page.events.map(toEvent), nextCursor: page.nextCursor }
    },
  })
}
