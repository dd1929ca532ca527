import '@/styles/submit.css'
import { useId, useState } from 'react'
import { FormProvider, useForm, type FieldPath, type Resolver } from 'react-hook-form'
import { errorText } from '@/components/errors'
import { notify } from '@/components/notices'
import { ProblemError } from '@/data/request'
import { submitText } from '@/data/tasks/actions'
import { useI18n } from '@/i18n/context'
import { AsCommand } from './AsCommand'
import { More } from './More'
import { bodyOf, faultsOf, fieldOf, type Draft } from './submit.model'
import { When } from './When'
import { Work } from './Work'

/** The rules of the API, checked here first; the messages are keys, said in the reader's language. */
const resolver: Resolver<Draft> = (draft) => {
  const faults = faultsOf(draft, Date.now())
  if (faults.length === 0) return { values: draft, errors: {} }
  const errors: Record<string, unknown> = {}
  for (const { field, rule } of faults) {
    const fault = { type: 'rule', message: rule }
    const [name = '', index] = field.split('.')
    if (index === undefined) errors[name] ??= fault
    else ((errors[name] ??= []) as unknown[])[Number(index)] = { key: fault }
  }
  return { values: {}, errors }
}

export function SubmitForm({ draft, onSubmitted }: { draft: Draft; onSubmitted: (id: string) => void }) {
  const i18n = useI18n()
  const { t } = i18n
  // Checked on the way out, and then as it is typed: a complaint of the API stays until its field is changed.
  const form = useForm<Draft>({ defaultValues: draft, resolver, mode: 'onSubmit', reValidateMode: 'onChange' })
  const [refusal, setRefusal] = useState<string | null>(null)
  const formId = useId()
  const { isSubmitting } = form.formState

  /** Each fault of the API goes to its field; what belongs to none stands above the button. */
  const refused = (error: unknown, values: Draft) => {
    const rest: string[] = []
    if (!(error instanceof ProblemError)) {
      setRefusal(errorText(error, i18n))
      return
    }
    if (error.status === 409) form.setError('id', { type: 'api', message: error.message }, { shouldFocus: true })
    for (const { field, rule } of error.faults) {
      const known = fieldOf(field, values)
      if (known === null) rest.push(field === '' ? rule : t('problem.field', { field, rule }))
      else form.setError((known.startsWith('tags.') ? `${known}.key` : known) as FieldPath<Draft>, { type: 'api', message: rule }, { shouldFocus: true })
    }
    if (rest.length > 0) setRefusal(rest.join(' · '))
    else if (error.faults.length === 0 && error.status !== 409) setRefusal(error.message)
  }
  const submit = form.handleSubmit(async (values) => {
    setRefusal(null)
    try {
      const { id, duplicate } = await submitText(bodyOf(values))
      notify('done', t(duplicate ? 'submit.duplicate' : 'submit.done', { id }))
      onSubmitted(id)
    } catch (error) {
      refused(error, values)
    }
  })
  return (
    <FormProvider {...form}>
      <form id={formId} className="submit-form" noValidate onSubmit={(event) => void submit(event)}>
        <Work />
        <When />
        <More open={draft.maxRetries !== ''} />
        <AsCommand />
        {refusal !== null && (
          <p className="field-fault" role="alert">
            {refusal}
          </p>
        )}
        <div className="submit-end">
          <button type="submit" className="button button-primary" disabled={isSubmitting}>
            {t('submit.send')}
          </button>
        </div>
      </form>
    </FormProvider>
  )
}
