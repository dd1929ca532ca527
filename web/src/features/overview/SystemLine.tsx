import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import type { Stats } from '@/data/stats/types'
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
      {stats.uptime && <span className="muted uptime">{i18n.t('system.uptime', { uptime: stats.uptime })}</span>}
    </section>
  )
}

/** The server's reason where it gives one and it can be read; it speaks English. */
function why(stats: Stats, { t, language }: I18n): string {
  if (stats.systemStatus === 'Stable') return t('system.stableReason')
  if (stats.reason && language === 'en') return stats.reason
  const own = stats.systemStatus === 'Recovering' ? t('system.recoveringReason') : t('system.highLoadReason', { pending: stats.tasks.pending })
  return stats.reason ? `${own} (${stats.reason})` : own
}
