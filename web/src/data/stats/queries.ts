import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import * as wire from '@/wire/schemas'
import { json, request } from '../request'
import { toSeries } from './mapper'
import type { Window } from './types'

/** A step per window that gives some 200 points, which is what a chart can show. */
const steps: Record<Window, { step: string; everyMs: number }> = {
  '5m': { step: '5s', everyMs: 5000 },
  '15m': { step: '5s', everyMs: 5000 },
  '1h': { step: '15s', everyMs: 15_000 },
  '6h': { step: '2m', everyMs: 60_000 },
  '24h': { step: '10m', everyMs: 120_000 },
}

/** The window that the figures' courses are of, and that charts begin with. */
export const usualWindow: Window = '15m'

export const seriesKeys = { all: ['series'] as const, window: (window: Window) => [...seriesKeys.all, window] as const }

/** `live` is false while the user has paused the page: then nothing is read again. */
export const seriesQuery = (window: Window, live: boolean) =>
  queryOptions({
    queryKey: seriesKeys.window(window),
    queryFn: async ({ signal }) => {
      const query = { window, step: steps[window].step }
      return toSeries(await request('/stats/series', json(wire.Series, '/stats/series'), { query, signal }))
    },
    refetchInterval: live ? steps[window].everyMs : false,
    placeholderData: keepPreviousData,
  })
