import { useSyncExternalStore } from 'react'
import { compareSeq } from './mapper'

/** Up to which event this browser's user has seen the failures. */
const key = 'batuta.seenFailures'
const listeners = new Set<() => void>()
let seen = read()

function read(): string {
  try {
    return localStorage.getItem(key) ?? ''
  } catch {
    return '' // Storage is switched off: what was seen is known as long as the page lives.
  }
}

export function markSeen(seq: string): void {
  seen = seq
  try {
    localStorage.setItem(key, seq)
  } catch {
    // As above.
  }
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useSeen = (): string => useSyncExternalStore(subscribe, () => seen)

export const isUnseen = (seq: string, seenUpTo: string): boolean => seenUpTo === '' || compareSeq(seq, seenUpTo) > 0
