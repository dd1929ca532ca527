import { useSyncExternalStore } from 'react'
import { roleMay, rolePreference, sessionStore, type Deed } from './session'

/** Whether whoever looks may do this: what they may not is not shown. */
export function useMay(deed: Deed): boolean {
  return roleMay(useRole(), deed)
}

export const useRole = () => useSyncExternalStore(rolePreference.subscribe, rolePreference.get)
export const useWho = () => useSyncExternalStore(sessionStore.subscribe, sessionStore.who)
