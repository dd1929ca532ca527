import { preference } from '@/lib/preference'
import { roles, type Role } from '@/wire/schemas'

/** Whether this browser was given a session: its cookie is hidden from scripts. */
export const signedInPreference = preference('batuta.signedIn', ['no', 'yes'], () => 'no')

/**
 * The role as it was told last. It is kept, so that a page of a viewer does not flash buttons
 * before the server has said who asks; the server refuses what the role may not do anyway.
 */
export const rolePreference = preference<Role>('batuta.role', roles, () => 'admin')

/** What an act needs: a role includes those before it. */
export type Deed = 'read' | 'submit' | 'operate'
const needed: Record<Deed, Role> = { read: 'viewer', submit: 'submitter', operate: 'operator' }

export const roleMay = (role: Role, deed: Deed): boolean => roles.indexOf(role) >= roles.indexOf(needed[deed])

/** Whether the API wants a token before it says anything, and for whom the session is. */
class SessionStore {
  private required = false
  private name: string | null = null
  private readonly listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly isRequired = (): boolean => this.required

  /** Who is signed in; null where nobody has to be. */
  readonly who = (): string | null => this.name

  /** The API answered 401: the sign-in form takes the place of the pages. */
  require(): void {
    this.set(true, null)
  }

  opened(name: string | null = null): void {
    this.set(false, name)
  }

  private set(required: boolean, name: string | null): void {
    if (this.required === required && this.name === name) return
    this.required = required
    this.name = name
    for (const listener of this.listeners) listener()
  }
}

export const sessionStore = new SessionStore()
