export interface Preference<T extends string> {
  get: () => T
  set: (value: T) => void
  subscribe: (listener: () => void) => () => void
}

/** A choice of this browser's user, kept where the browser allows it. */
export function preference<T extends string>(key: string, allowed: readonly T[], otherwise: () => T): Preference<T> {
  const listeners = new Set<() => void>()
  const stored = read(key)
  let value = allowed.find((option) => option === stored) ?? otherwise()
  return {
    get: () => value,
    set: (next) => {
      value = next
      write(key, next)
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null // Storage is switched off: the choice lives as long as the page.
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // As above.
  }
}
