import { nothing, request } from './request'
import { sessionStore, signedInPreference } from './session'

/** Trades a token for an HttpOnly cookie, which the WebSocket then carries too. */
export async function signIn(token: string): Promise<void> {
  await request('/session', nothing, { method: 'POST', body: { token } })
  signedInPreference.set('yes')
  sessionStore.opened()
}

export async function signOut(): Promise<void> {
  await request('/session', nothing, { method: 'DELETE' })
  signedInPreference.set('no')
  sessionStore.require()
}

/** Whether the API answers at all: a WebSocket that fails does not say why. A 401 opens the sign-in form. */
export const probe = () => request('/stats', nothing)
