import { Link } from '@tanstack/react-router'
import { Donut, shade } from '@/components/charts/Donut'
import { slices } from '@/components/charts/model'
import { useI18n } from '@/i18n/context'

const most = 6

export function TypeShares({ types }: { types: Record<string, number> }) {
  const { t, number, short } = useI18n()
  const others = t('chart.others')
  const shown = slices(types, most, others)
  if (shown.length === 0) return <p className="empty-line">{t('chart.noData')}</p>
  const total = shown.reduce((sum, slice) => sum + slice.count, 0)
  return (
    <div className="shares">
      <Donut label={t('chart.types')} slices={shown} center={short(total)} />
      <ul>
        {shown.map((slice, i) => (
          <li key={slice.name}>
            <i style={{ background: shade(i) }} />
            {slice.name === others ? <span>{others}</span> : <Link to="/ui/tasks" search={{ type: slice.name }}>{slice.name}</Link>}
            <span className="number">{number(slice.count)}</span>
            <span className="number muted">{number(Math.round(slice.share * 1000) / 10)} %</span>
          </li>
        ))}
      </ul>
    </div>
  )
}
