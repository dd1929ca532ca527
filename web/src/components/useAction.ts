import { useMutation } from '@tanstack/react-query'
import { useI18n } from '@/i18n/context'
import { errorText } from './errors'
import { notify } from './notices'

interface Action<T, V> {
  run: (value: V) => Promise<T>
  /** What to report when it is done. */
  done: (result: T, value: V) => string
  then?: (result: T, value: V) => void
}

/** An act on the server whose end is always reported, good or bad. */
export function useAction<T, V = undefined>({ run, done, then }: Action<T, V>) {
  const i18n = useI18n()
  return useMutation({
    mutationFn: run,
    onSuccess: (result, value) => {
      notify('done', done(result, value))
      then?.(result, value)
    },
    onError: (error) => notify('failed', errorText(error, i18n)),
  })
}
