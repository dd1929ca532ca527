import { QueryClient } from '@tanstack/react-query'
import { liveStore } from './live/hooks'
import { ContractError, ProblemError } from './request'
import { eventKeys } from './events/queries'
import { sessionStore } from './session'
import { taskKeys } from './tasks/queries'

/** Trying again helps where nothing answered; a refusal stays a refusal. */
const worthRetrying = (error: unknown) => !(error instanceof ContractError) && !(error instanceof ProblemError && error.status < 500)

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && worthRetrying(error),
      staleTime: 2000,
      refetchOnWindowFocus: false, // The live store knows what has changed.
    },
  },
})

/** What was read before a connection was lost, or before a sign-in, is read again. */
export function refreshOnReturn(): () => void {
  let caughtUp = liveStore.getState().connection.caughtUp
  const stopLive = liveStore.subscribe(() => {
    const now = liveStore.getState().connection.caughtUp
    if (now && now !== caughtUp) {
      void queryClient.invalidateQueries({ queryKey: taskKeys.all })
      void queryClient.invalidateQueries({ queryKey: eventKeys.all })
    }
    caughtUp = now
  })
  let required = sessionStore.isRequired()
  const stopSession = sessionStore.subscribe(() => {
    const before = required
    required = sessionStore.isRequired()
    if (before && !required) void queryClient.invalidateQueries()
  })
  return () => {
    stopLive()
    stopSession()
  }
}
