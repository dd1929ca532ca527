import { useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { liveStore } from '@/data/live/hooks'
import { pages } from './commands'
import { KeyReader } from './keys'

// Read when it is opened for the first time: most visits do without.
const Palette = lazy(() => import('./Palette'))
const Help = lazy(() => import('./Help'))

export type Overlay = 'palette' | 'help' | null

let overlay: Overlay = null
const listeners = new Set<() => void>()
const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Opens the palette or the list of keys, from wherever. */
export function openOverlay(next: Overlay): void {
  overlay = next
  for (const listener of listeners) listener()
}

/** Listens to the keys of the whole page and shows what they open. */
export function Shortcuts() {
  const navigate = useNavigate()
  const [reader] = useState(() => new KeyReader(pages.map(({ key }) => key)))
  const shown = useSyncExternalStore(subscribe, () => overlay)
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const shortcut = reader.read({ key: event.key, ctrl: event.ctrlKey, meta: event.metaKey, alt: event.altKey, typing: isTyping(event.target) }, event.timeStamp)
      // A dialog is open: its own keys count, and the palette's to close it.
      const modal = document.querySelector('dialog[open]') !== null
      if (!shortcut || (modal && !(shortcut.kind === 'palette' && overlay !== null))) return
      event.preventDefault()
      if (shortcut.kind === 'palette') openOverlay(overlay === 'palette' ? null : 'palette')
      if (shortcut.kind === 'help') openOverlay('help')
      if (shortcut.kind === 'pause') liveStore.pause(!liveStore.getState().paused)
      if (shortcut.kind === 'search') focusSearch()
      if (shortcut.kind === 'page') {
        const page = pages.find(({ key }) => key === shortcut.key)
        if (page) void navigate({ to: page.to })
      }
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [navigate, reader])
  return (
    <Suspense fallback={null}>
      {shown === 'palette' && <Palette onClose={() => openOverlay(null)} />}
      {shown === 'help' && <Help onClose={() => openOverlay(null)} />}
    </Suspense>
  )
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'))
}

/** The page's own search where it has one, else the palette. */
function focusSearch(): void {
  const input = document.querySelector<HTMLInputElement>('main [type=search], main [role=search] input, main .search input')
  if (input) input.focus()
  else openOverlay('palette')
}
