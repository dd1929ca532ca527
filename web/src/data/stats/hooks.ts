import { useQuery } from '@tanstack/react-query'
import { useConnection, usePaused } from '../live/hooks'
import { seriesQuery } from './queries'
import type { Window } from './types'

/** The figures of a window up to now; they stand still while the page does. */
export function useSeries(window: Window) {
  const live = useConnection().phase === 'live'
  const paused = usePaused()
  return useQuery(seriesQuery(window, live && !paused))
}
