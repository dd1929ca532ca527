import { useMutation } from '@tanstack/react-query'
import { useState, type SubmitEvent } from 'react'
import { errorText } from '@/components/errors'
import { ProblemError } from '@/data/request'
import { signIn } from '@/data/sign-in'
import { useI18n } from '@/i18n/context'

export function SignIn() {
  const i18n = useI18n()
  const { t } = i18n
  const [token, setToken] = useState('')
  const { mutate, isPending, error } = useMutation({ mutationFn: signIn })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    mutate(token.trim())
  }
  const refused = error instanceof ProblemError && (error.status === 401 || error.status === 403)
  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>{t('signin.title')}</h1>
      <p className="muted">{t('signin.hint')}</p>
      <label>
        <span>{t('signin.token')}</span>
        <input type="password" autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} required autoFocus />
      </label>
      {error && <p role="alert">{refused ? t('signin.refused') : errorText(error, i18n)}</p>}
      <button type="submit" className="button button-primary" disabled={isPending || token.trim() === ''}>
        {t('signin.submit')}
      </button>
    </form>
  )
}
