import { Link } from '@tanstack/react-router'
import { latest, peak } from '@/components/charts/model'
import { Strip } from '@/components/charts/Strip'
import { Panel } from '@/components/Panel'
import { useLive } from '@/data/live/hooks'
import type { Series } from '@/data/stats/types'
import { useI18n } from '@/i18n/context'

const most = 8
/** A scale that ends at a round number stays the same while values move. */
const roundUp = (value: number, to: number) => Math.max(to, Math.ceil(value / to) * to)

/** CPU and memory of each worker: one row each, all rows to one scale, the busiest first. */
export function WorkerStrips({ series }: { series: Series | undefined }) {
  const { t, number } = useI18n()
  const living = useLive((data) => data.workers)
  const rows = Object.entries(series?.workers ?? {}).filter(([id]) => living?.has(id))
  rows.sort(([a, x], [b, y]) => (latest(y.cpuPercent) ?? 0) - (latest(x.cpuPercent) ?? 0) || a.localeCompare(b, 'en', { numeric: true }))
  const shown = rows.slice(0, most)
  shown.sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
  const cpuMax = roundUp(Math.max(100, peak(shown.map(([, lines]) => lines.cpuPercent))), 50)
  const memoryMax = roundUp(peak(shown.map(([, lines]) => lines.memoryMb)), 50)
  const { from = 0, stepMs = 1 } = series ?? {}
  return (
    <Panel title={t('chart.workers')} className="chart-wide" aside={<Link to="/ui/workers">{t('nav.workers')}</Link>}>
      {shown.length === 0 ? (
        <p className="empty-line">{t('chart.noData')}</p>
      ) : (
        <ul className="strips">
          <li className="strips-head muted" aria-hidden="true">
            <span />
            <span>{t('workers.cpu')} · 0–{number(cpuMax)}</span>
            <span>{t('workers.memory')} · 0–{number(memoryMax)}</span>
          </li>
          {shown.map(([id, lines]) => (
            <li key={id}>
              <Link to="/ui/tasks" search={{ worker: id }}>{id}</Link>
              <Strip label={`${t('workers.cpu')} ${id}`} values={lines.cpuPercent} from={from} stepMs={stepMs} max={cpuMax} format={(value) => `${number(Math.round(value))} %`} />
              <Strip label={`${t('workers.memory')} ${id}`} values={lines.memoryMb} from={from} stepMs={stepMs} max={memoryMax} format={(value) => `${number(Math.round(value))} MB`} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
