import { Link, type LinkProps } from '@tanstack/react-router'
import { useMemo } from 'react'
import { Spark } from '@/components/charts/Spark'
import { Icon, type IconName } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import { useSeries } from '@/data/stats/hooks'
import { usualWindow } from '@/data/stats/queries'
import type { Stats } from '@/data/stats/types'
import { taskStates } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { courses, type FigureName } from './figures.model'

interface Figure {
  name: FigureName
  label: string
  value: string
  note?: string | undefined
  link: Pick<LinkProps, 'to' | 'search'>
  mark?: { icon: IconName; color: string }
}

/** The figures with their recent course; each opens the list it counts. */
export function Figures() {
  const i18n = useI18n()
  const stats = useLive((data) => data.stats)
  const { data: series } = useSeries(usualWindow)
  const lines = useMemo(() => (series ? courses(series) : null), [series])
  if (!stats) return null
  return (
    <ul className="figures">
      {figures(stats, i18n).map(({ name, label, value, note, link, mark }) => (
        <li key={name}>
          <Link {...link} className="figure" data-testid={`figure-${name}`}>
            <span className="figure-label">
              {mark && <Icon name={mark.icon} size={12} style={{ color: mark.color }} />}
              {label}
            </span>
            <span className="figure-value">{value}</span>
            <span className="figure-note">{note ?? '\u00a0'}</span>
            <Spark values={lines?.[name] ?? []} />
          </Link>
        </li>
      ))}
    </ul>
  )
}

function figures(stats: Stats, { t, number, duration }: I18n): Figure[] {
  const { tasks, workers, queueLatencyMs: latency } = stats
  const ms = (value: number | null | undefined) => (value === null || value === undefined ? t('common.dash') : duration(value))
  return [
    { name: 'total', label: t('figure.total'), value: number(tasks.total), note: t('figure.completed', { n: tasks.completed }), link: { to: '/ui/tasks' } },
    {
      name: 'pending',
      label: t('figure.pending'),
      value: number(tasks.pending),
      note: tasks.scheduled > 0 ? t('figure.scheduled', { n: tasks.scheduled }) : undefined,
      link: { to: '/ui/tasks', search: { status: 'pending' } },
      mark: taskStates.pending,
    },
    {
      name: 'inProgress',
      label: t('figure.inProgress'),
      value: number(tasks.inProgress),
      note: tasks.retrying > 0 ? t('figure.retrying', { n: tasks.retrying }) : undefined,
      link: { to: '/ui/tasks', search: { status: 'inProgress' } },
      mark: taskStates.inProgress,
    },
    { name: 'failed', label: t('figure.failed'), value: number(tasks.failed), link: { to: '/ui/tasks', search: { status: 'failed' } }, mark: taskStates.failed },
    { name: 'workers', label: t('figure.workers'), value: number(workers.active), note: t('figure.idle', { idle: workers.idle }), link: { to: '/ui/workers' } },
    {
      name: 'throughput',
      label: t('figure.throughput'),
      value: stats.throughputPerMinute === null ? t('common.dash') : t('figure.perMinute', { n: stats.throughputPerMinute }),
      note: t('figure.lastMinutes'),
      link: { to: '/ui/tasks', search: { status: 'completed' } },
    },
    { name: 'average', label: t('figure.average'), value: ms(stats.averageExecutionTimeMs), note: t('figure.lastMinutes'), link: { to: '/ui/tasks', search: { sort: '-executionTimeMs' } } },
    { name: 'latency', label: t('figure.latency'), value: ms(latency?.p99), note: latency ? t('figure.p50', { value: ms(latency.p50) }) : undefined, link: { to: '/ui/queues' } },
  ]
}
