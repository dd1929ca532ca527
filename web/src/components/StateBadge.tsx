import type { State } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { Icon } from './Icon'

/** Icon in the state's colour, word in the text's: never colour alone. */
export function StateBadge({ state, strong = false }: { state: State; strong?: boolean }) {
  const { t } = useI18n()
  return (
    <span className={strong ? 'state state-strong' : 'state'}>
      <Icon name={state.icon} style={{ color: state.color }} />
      {t(state.label)}
    </span>
  )
}
