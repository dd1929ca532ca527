import type { TaskListState } from '@/data/tasks/list'
import type { TaskFilter } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'
import { BulkActions } from './BulkActions'
import { scopeOf } from './bulk.model'
import { Facets } from './Facets'
import { formatQuery } from './query.model'
import { isEmpty, type Selection } from './selection.model'

interface ListBarProps {
  filter: TaskFilter
  state: TaskListState
  selection: Selection
  /** New tasks come in by themselves at the moment. */
  following: boolean
  onFilter: (filter: TaskFilter) => void
  onShow: () => void
  onSelectAll: () => void
  onClear: () => void
}

/** Above the table: filters and count; with tasks selected, what can be done with them. */
export function ListBar({ filter, state, selection, following, onFilter, onShow, onSelectAll, onClear }: ListBarProps) {
  const { t } = useI18n()
  const { total } = state
  if (!isEmpty(selection)) return <SelectionBar filter={filter} total={total ?? 0} selection={selection} onSelectAll={onSelectAll} onClear={onClear} />
  return (
    <div className="list-line">
      <Facets filter={filter} onChange={onFilter} />
      <span className="space" />
      {!following && <News state={state} onShow={onShow} />}
      <span className="muted" data-testid="task-total">{total === null ? '' : t('tasks.count', { n: total })}</span>
    </div>
  )
}

/** What has happened to the list since it was read; nothing moves until it is asked for. */
function News({ state: { fresh, freshOpen, left }, onShow }: { state: TaskListState; onShow: () => void }) {
  const { t } = useI18n()
  if (fresh === 0 && !freshOpen && left.size === 0) return null
  return (
    <button type="button" className="button button-small button-new" onClick={onShow}>
      {fresh > 0 ? t(freshOpen ? 'tasks.newOpen' : 'tasks.new', { n: fresh }) : freshOpen ? t('tasks.missed') : t('tasks.leftCount', { n: left.size })}
    </button>
  )
}

interface SelectionBarProps {
  filter: TaskFilter
  total: number
  selection: Selection
  onSelectAll: () => void
  onClear: () => void
}

function SelectionBar({ filter, total, selection, onSelectAll, onClear }: SelectionBarProps) {
  const { t } = useI18n()
  const query = formatQuery(filter)
  const { all, ids } = selection
  const said = all ? t('tasks.allSelected', { n: total }) : t('tasks.selected', { n: ids.size })
  return (
    <div className="list-line list-selected" role="toolbar" aria-label={t('tasks.selection')}>
      <b role="status">{said}</b>
      {!all && ids.size < total && (
        <button type="button" className="button button-small button-plain" onClick={onSelectAll}>
          {t('tasks.selectAll', { n: total })}
        </button>
      )}
      <span className="space" />
      <BulkActions scopeOf={(verb) => (all ? scopeOf(verb, filter) : { ids: [...ids] })} scope={all && query !== '' ? query : said} onDone={onClear} />
      <button type="button" className="button button-small button-plain" onClick={onClear}>
        {t('tasks.unselect')}
      </button>
    </div>
  )
}
