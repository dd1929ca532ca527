import { useSyncExternalStore } from 'react'

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = window.matchMedia(query)
      list.addEventListener('change', listener)
      return () => list.removeEventListener('change', listener)
    },
    () => window.matchMedia(query).matches,
  )
}

/** Narrower than this, tables turn into two-line rows and the pages' bar moves to the bottom. */
export const useNarrow = (): boolean => useMedia('(max-width: 759px)')

/** Wide enough for a list and, beside it, what is opened from it. */
export const useWide = (): boolean => useMedia('(min-width: 1200px)')
