import { Icon } from '@/components/Icon'
import { priorityLabels, taskStates } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { priorities, taskStatuses } from '@/wire/schemas'
import { isName } from './query.model'
import type { Suggestion } from './suggest.model'

interface SuggestionsProps {
  id: string
  offered: Suggestion[]
  marked: number
  onChoose: (suggestion: Suggestion) => void
}

/** The list below the search bar: what would be written, what it means, how many there are. */
export function Suggestions({ id, offered, marked, onChoose }: SuggestionsProps) {
  const i18n = useI18n()
  return (
    <ul id={id} role="listbox" className="suggestions" aria-label={i18n.t('tasks.suggestions')}>
      {offered.map((suggestion, i) => (
        <li
          key={suggestion.word}
          id={`${id}-${i}`}
          role="option"
          aria-selected={i === marked}
          // The input keeps the focus, so that typing goes on.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onChoose(suggestion)}
        >
          <Mark suggestion={suggestion} />
          <code>{suggestion.word}</code>
          <span className="muted">{meaning(suggestion, i18n)}</span>
          {suggestion.count !== null && <span className="number">{i18n.number(suggestion.count)}</span>}
        </li>
      ))}
    </ul>
  )
}

function Mark({ suggestion: { name, value } }: { suggestion: Suggestion }) {
  const status = name === 'status' ? taskStatuses.find((one) => one === value) : undefined
  return status ? <Icon name={taskStates[status].icon} style={{ color: taskStates[status].color }} /> : <span className="suggestion-mark" />
}

function meaning({ name, value }: Suggestion, { t }: I18n): string {
  const status = taskStatuses.find((one) => one === value)
  const priority = priorities.find((one) => one === value)
  if (name === 'status' && status) return t(taskStates[status].label)
  if (name === 'priority' && priority) return t(priorityLabels[priority])
  if (name === 'type' && value.endsWith('.*')) return t('tasks.family', { family: value.slice(0, -2) })
  const filter = value.slice(0, -1)
  return name === null && isName(filter) ? t(`filter.${filter}`) : ''
}
