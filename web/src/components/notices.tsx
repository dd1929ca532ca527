import { useSyncExternalStore } from 'react'
import { useI18n } from '@/i18n/context'
import { Icon } from './Icon'

export interface Notice {
  id: number
  kind: 'done' | 'failed'
  text: string
}

const shownMs = 6000
let notices: readonly Notice[] = []
let lastId = 0
const listeners = new Set<() => void>()

function set(next: readonly Notice[]): void {
  notices = next
  for (const listener of listeners) listener()
}

/** Reports what an act came to, in a corner, for a few seconds (failures until dismissed). */
export function notify(kind: Notice['kind'], text: string): void {
  const id = ++lastId
  set([...notices.slice(-3), { id, kind, text }])
  if (kind === 'done') setTimeout(() => dismiss(id), shownMs)
}

const dismiss = (id: number): void => set(notices.filter((notice) => notice.id !== id))

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Notices() {
  const { t } = useI18n()
  const shown = useSyncExternalStore(subscribe, () => notices)
  return (
    <div className="notices" role="status" aria-live="polite">
      {shown.map(({ id, kind, text }) => (
        <div key={id} className="notice">
          <Icon name={kind === 'done' ? 'check' : 'cross'} style={{ color: kind === 'done' ? 'var(--teal)' : 'var(--vermilion)' }} />
          <span>{text}</span>
          <button type="button" className="button button-plain" aria-label={t('common.close')} onClick={() => dismiss(id)}>
            <Icon name="cross" size={11} />
          </button>
        </div>
      ))}
    </div>
  )
}
