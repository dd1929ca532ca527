import * as wire from '@/wire/schemas'
import { json, nothing, request } from './request'
import { rolePreference, sessionStore, signedInPreference } from './session'

/** Trades a token for an HttpOnly cookie, which the WebSocket then carries too. */
export async function signIn(token: string): Promise<void> {
  const { name, role } = await request('/session', json(wire.Session, '/session'), { method: 'POST', body: { token } })
  signedInPreference.set('yes')
  rolePreference.set(role)
  sessionStore.opened(name)
}

export async function signOut(): Promise<void> {
  await request('/session', nothing, { method: 'DELETE' })
  signedInPreference.set('no')
  sessionStore.require()
}

/** Asks who this browser is for the API, and so what it may do. A 401 opens the sign-in form. */
export async function learnSession(): Promise<void> {
  const { name, role } = await request('/session', json(wire.Session, '/session'))
  rolePreference.set(role)
  sessionStore.opened(name)
}

/** Whether the API answers at all: a WebSocket that fails does not say why. A 401 opens the sign-in form. */
export const probe = () => request('/stats', nothing)
