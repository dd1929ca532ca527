import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import { taskFacetsQuery } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { taskStatuses } from '@/wire/schemas'

/** One button per status with its count: live without further filters, else as last asked for. */
export function StatusTabs({ filter }: { filter: TaskFilter }) {
  const { t, number } = useI18n()
  const { status: _, ...others } = filter
  const narrowed = Object.values(others).some(Boolean)
  const stats = useLive((data) => data.stats.tasks)
  const { data: facets } = useQuery({ ...taskFacetsQuery(others), enabled: narrowed, refetchInterval: 5000 })
  const count = (name: (typeof taskStatuses)[number]) => (narrowed ? (facets ? (facets.status?.[name] ?? 0) : undefined) : stats?.[name])
  const total = narrowed ? facets?.total : stats?.total
  return (
    <div className="tabs" role="group" aria-label={t('col.status')}>
      <Tab status={undefined} label={t('tasks.all')} count={total === undefined ? '' : number(total)} />
      {taskStatuses.map((name) => {
        const n = count(name)
        return <Tab key={name} status={name} label={t(taskStates[name].label)} count={n === undefined ? '' : number(n)} />
      })}
    </div>
  )
}

/** A tab is the current one when its address is this page's. */
const exactly = { exact: true, includeSearch: true }

function Tab({ status, label, count }: { status: (typeof taskStatuses)[number] | undefined; label: string; count: string }) {
  return (
    <Link to="/ui/tasks" search={(now) => ({ ...now, status })} className="tab" activeOptions={exactly} activeProps={{}} data-empty={count === '0'}>
      {status && <Icon name={taskStates[status].icon} size={12} style={{ color: taskStates[status].color }} />}
      {label}
      <span className="tab-count">{count}</span>
    </Link>
  )
}
