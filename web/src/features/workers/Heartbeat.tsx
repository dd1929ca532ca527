import { useState } from 'react'
import { useI18n } from '@/i18n/context'
import { useNow } from '@/lib/now'

/** Amber from here on at the soonest: two of the usual heartbeats of a second are missing, and long before a worker counts as hung. */
const lateMs = 3000

/** How many of a worker's own intervals may pass: where BATUTA_HEARTBEAT is longer, so is the wait. */
const lateIntervals = 3

/** How long ago a worker gave its last sign of life, ticking. */
export function Heartbeat({ at }: { at: number | null }) {
  const i18n = useI18n()
  const now = useNow()
  const interval = useInterval(at)
  if (at === null) return <span className="muted">{i18n.t('common.dash')}</span>
  return <span className={now - at > Math.max(lateMs, lateIntervals * interval) ? 'late' : undefined}>{i18n.relative(at, now)}</span>
}

/** The shortest time seen between two heartbeats; 0 before the second one. */
function useInterval(at: number | null): number {
  const [seen, setSeen] = useState({ at, shortest: 0 })
  if (at !== seen.at) {
    const gap = at !== null && seen.at !== null ? at - seen.at : 0
    setSeen({ at, shortest: gap > 0 && (seen.shortest === 0 || gap < seen.shortest) ? gap : seen.shortest })
  }
  return seen.shortest
}
