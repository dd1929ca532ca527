import { useI18n } from '@/i18n/context'
import { useNow } from '@/lib/now'

/** Amber from here on: two of the usual heartbeats of a second are missing, and long before a worker counts as hung. */
export const lateMs = 3000

/** How long ago a worker gave its last sign of life, ticking. */
export function Heartbeat({ at }: { at: number | null }) {
  const i18n = useI18n()
  const now = useNow()
  if (at === null) return <span className="muted">{i18n.t('common.dash')}</span>
  return <span className={now - at > lateMs ? 'late' : undefined}>{i18n.relative(at, now)}</span>
}
