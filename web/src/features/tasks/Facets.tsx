import { useQuery } from '@tanstack/react-query'
import { useLive } from '@/data/live/hooks'
import { taskFacetsQuery } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { priorityLabels } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { priorities } from '@/wire/schemas'
import { FacetMenu, type Choice } from './FacetMenu'
import { toggled } from './query.model'

type FacetName = 'type' | 'queue' | 'priority' | 'worker'
const refreshEveryMs = 5000

/** The filters that divide tasks into few groups, with how many each has among what else is asked for. */
export function Facets({ filter, onChange }: { filter: TaskFilter; onChange: (filter: TaskFilter) => void }) {
  const { t } = useI18n()
  const workers = useLive((data) => data.workers)
  const set = (name: FacetName, value: string | undefined) => {
    const { [name]: _, ...others } = filter
    onChange(value === undefined ? others : { ...others, [name]: value })
  }
  const menu = (name: FacetName, choices: readonly Choice[]) => (
    <FacetMenu key={name} label={t(`filter.${name}`)} value={filter[name]} choices={choices} onToggle={(value) => set(name, toggled(filter[name], value))} onClear={() => set(name, undefined)} />
  )
  const types = useCounts(filter, 'type')
  const queues = useCounts(filter, 'queue')
  const levels = useCounts(filter, 'priority')
  const living = [...(workers?.keys() ?? [])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))
  return (
    <div className="facets" role="group" aria-label={t('tasks.filters')}>
      {menu('type', byCount(types))}
      {menu('queue', byCount(queues))}
      {menu('priority', priorities.map((value) => ({ value, label: t(priorityLabels[value]), count: levels[value] ?? 0 })))}
      {menu('worker', living.map((value) => ({ value, label: value, count: null })))}
    </div>
  )
}

/** Counts of one facet, as if it were not filtered by: what choosing each value would find. */
function useCounts(filter: TaskFilter, name: 'type' | 'queue' | 'priority'): Record<string, number> {
  const { [name]: _, ...others } = filter
  const { data } = useQuery({ ...taskFacetsQuery(others), refetchInterval: refreshEveryMs, placeholderData: (before) => before })
  return data?.[name] ?? {}
}

const byCount = (counts: Record<string, number>): Choice[] =>
  Object.entries(counts)
    .sort(([a, n], [b, m]) => m - n || a.localeCompare(b))
    .map(([value, count]) => ({ value, label: value, count }))
