import { useId, useRef } from 'react'
import { Icon } from '@/components/Icon'
import { useI18n } from '@/i18n/context'

export interface Choice {
  value: string
  label: string
  count: number | null
}

interface FacetMenuProps {
  label: string
  /** The values of the filter now, comma separated. */
  value: string | undefined
  choices: readonly Choice[]
  onToggle: (value: string) => void
  onClear: () => void
}

/** One filter as a menu of its values with their counts; several may be on (or). */
export function FacetMenu({ label, value, choices, onToggle, onClear }: FacetMenuProps) {
  const { t, number } = useI18n()
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const menu = useRef<HTMLDivElement>(null)
  const chosen = value ? value.split(',') : []
  // Values chosen but no longer among the tasks stay, so that they can be taken away.
  const shown = [...chosen.filter((one) => choices.every((choice) => choice.value !== one)).map((one) => ({ value: one, label: one, count: 0 })), ...choices]
  const place = () => {
    const at = button.current?.getBoundingClientRect()
    if (!menu.current || !at) return
    menu.current.style.left = `${Math.max(8, Math.min(at.left, window.innerWidth - 270))}px`
    menu.current.style.top = `${at.bottom + 4}px`
  }
  return (
    <>
      <button ref={button} type="button" className="facet" popoverTarget={id} data-on={chosen.length > 0} aria-haspopup="dialog">
        {label}
        {chosen.length > 0 && <b>{chosen.length === 1 ? chosen[0] : number(chosen.length)}</b>}
        <Icon name="down" size={11} />
      </button>
      <div ref={menu} id={id} popover="auto" className="facet-menu" role="dialog" aria-label={label} onBeforeToggle={place}>
        {shown.length === 0 && <p className="muted">{t('tasks.noValues')}</p>}
        <ul>
          {shown.map((choice) => (
            <li key={choice.value}>
              <label>
                <input type="checkbox" checked={chosen.includes(choice.value)} onChange={() => onToggle(choice.value)} />
                <span>{choice.label}</span>
                {choice.count !== null && <span className="number muted">{number(choice.count)}</span>}
              </label>
            </li>
          ))}
        </ul>
        {chosen.length > 0 && (
          <button type="button" className="button button-small" onClick={onClear}>
            {t('tasks.anyValue')}
          </button>
        )}
      </div>
    </>
  )
}
