import { preference } from '@/lib/preference'

/** Whether this browser was given a session: its cookie is hidden from scripts. */
export const signedInPreference = preference('batuta.signedIn', ['no', 'yes'], () => 'no')

/** Whether the API wants a token before it says anything. */
class SessionStore {
  private required = false
  private readonly listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly isRequired = (): boolean => this.required

  /** The API answered 401: the sign-in form takes the place of the pages. */
  require(): void {
    this.set(true)
  }

  opened(): void {
    this.set(false)
  }

  private set(required: boolean): void {
    if (this.required === required) return
    this.required = required
    for (const listener of this.listeners) listener()
  }
}

export const sessionStore = new SessionStore()
