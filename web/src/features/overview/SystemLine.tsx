import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import type { Stats } from '@/data/stats/types'
import { sayReason } from '@/domain/reasons'
import { systemStates } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'

/** The state of the system and why, in a sentence. */
export function SystemLine() {
  const i18n = useI18n()
  const stats = useLive((data) => data.stats)
  if (!stats) return null
  return (
    <section className="system-line" data-status={stats.systemStatus}>
      <StateBadge state={systemStates[stats.systemStatus]} strong />
      <p>{why(stats, i18n)}</p>
      <span className="muted system-times">
        {stats.uptime && <span>{i18n.t('system.uptime', { uptime: stats.uptime })}</span>}
        <span data-testid="updated">{i18n.t('system.updated', { time: i18n.clock(stats.updatedAt) })}</span>
      </span>
    </section>
  )
}

function why(stats: Stats, i18n: I18n): string {
  if (stats.systemStatus === 'Stable') return i18n.t('system.stableReason')
  if (stats.reason) return sayReason(stats.reason, i18n)
  return stats.systemStatus === 'Recovering' ? i18n.t('system.recoveringReason') : i18n.t('system.highLoadReason', { pending: stats.tasks.pending })
}
