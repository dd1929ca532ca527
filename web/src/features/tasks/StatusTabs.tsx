import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { useLive } from '@/data/live/hooks'
import { isFiltered } from '@/data/tasks/filter'
import { taskFacetsQuery } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { taskStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { taskStatuses } from '@/wire/schemas'

/** One link per status with its count: live without further filters, else as last asked for. */
export function StatusTabs({ filter }: { filter: TaskFilter }) {
  const { t, number } = useI18n()
  const { status: current, ...others } = filter
  const narrowed = isFiltered(others)
  const stats = useLive((data) => data.stats.tasks)
  const { data: facets } = useQuery({ ...taskFacetsQuery(others), enabled: narrowed, refetchInterval: 5000, placeholderData: (before) => before })
  const count = (name: (typeof taskStatuses)[number]) => (narrowed ? (facets ? (facets.status?.[name] ?? 0) : undefined) : stats?.[name])
  const total = narrowed ? facets?.total : stats?.total
  return (
    <div className="tabs" role="group" aria-label={t('col.status')}>
      <Tab status={undefined} label={t('tasks.all')} count={total === undefined ? '' : number(total)} current={current === undefined} />
      {taskStatuses.map((name) => {
        const n = count(name)
        return <Tab key={name} status={name} label={t(taskStates[name].label)} count={n === undefined ? '' : number(n)} current={current?.split(',').includes(name) ?? false} />
      })}
    </div>
  )
}

interface TabProps {
  status: (typeof taskStatuses)[number] | undefined
  label: string
  count: string
  current: boolean
}

/** Said to be the current page where its address is this page's; shown as chosen also among others. */
const exactly = { exact: true, includeSearch: true }

function Tab({ status, label, count, current }: TabProps) {
  return (
    <Link to="/ui/tasks" search={(now) => ({ ...now, status })} className="tab" activeOptions={exactly} activeProps={{}} data-current={current} data-empty={count === '0'}>
      {status && <Icon name={taskStates[status].icon} size={12} style={{ color: taskStates[status].color }} />}
      {label}
      <span className="tab-count">{count}</span>
    </Link>
  )
}
