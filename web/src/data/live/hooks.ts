import { useSyncExternalStore } from 'react'
import { probe } from '../sign-in'
import { sessionStore, signedInPreference } from '../session'
import type { LiveData } from './model'
import { LiveSocket } from './socket'
import { LiveStore, type LiveState } from './store'

export const liveStore = new LiveStore()

export const liveSocket = new LiveSocket({
  store: liveStore,
  url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`,
  probe,
  mayConnect: () => !sessionStore.isRequired(),
})

/** `select` must return the same reference while its part has not changed. */
export function useLiveState<T>(select: (state: LiveState) => T): T {
  return useSyncExternalStore(liveStore.subscribe, () => select(liveStore.getState()))
}

/** A part of the live picture; undefined until the first snapshot. */
export function useLive<T>(select: (data: LiveData) => T): T | undefined {
  return useLiveState((state) => (state.data ? select(state.data) : undefined))
}

export const useConnection = () => useLiveState((state) => state.connection)
export const usePaused = () => useLiveState((state) => state.paused)
export const useSignedIn = () => useSyncExternalStore(signedInPreference.subscribe, signedInPreference.get) === 'yes'
export const useSignInRequired = () => useSyncExternalStore(sessionStore.subscribe, sessionStore.isRequired)
