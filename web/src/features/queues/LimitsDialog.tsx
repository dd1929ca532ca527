import { useState } from 'react'
import { useFieldArray, useForm, type FieldPath, type Resolver, type UseFormReturn } from 'react-hook-form'
import { Dialog } from '@/components/Dialog'
import { errorText } from '@/components/errors'
import { Field } from '@/components/Field'
import { Icon } from '@/components/Icon'
import { notify } from '@/components/notices'
import { useFault } from '@/components/useFault'
import { changeQueue } from '@/data/queues/actions'
import type { Queue } from '@/data/queues/types'
import { ProblemError } from '@/data/request'
import { useI18n } from '@/i18n/context'
import { bodyOf, draftOf, faultsOf, fieldOf, type LimitsDraft } from './limits.model'

const resolver: Resolver<LimitsDraft> = (draft) => {
  const faults = faultsOf(draft)
  if (faults.length === 0) return { values: draft, errors: {} }
  const errors: Record<string, unknown> = {}
  for (const { field, rule } of faults) {
    const [name = '', index, part = ''] = field.split('.')
    const fault = { type: 'rule', message: rule }
    if (index === undefined) errors[name] = fault
    else {
      const rows = (errors[name] ??= []) as Record<string, unknown>[]
      rows[Number(index)] = { ...rows[Number(index)], [part]: fault }
    }
  }
  return { values: {}, errors }
}

/** How many of a queue's tasks may run at once and start per second: all, and by type. */
export function LimitsDialog({ queue, onClose }: { queue: Queue; onClose: () => void }) {
  const i18n = useI18n()
  const { t } = i18n
  const form = useForm<LimitsDraft>({ defaultValues: draftOf(queue), resolver, mode: 'onSubmit' })
  const [refusal, setRefusal] = useState<string | null>(null)
  const { register, formState } = form
  const { errors } = formState
  const said = useFault()

  const refused = (error: unknown, draft: LimitsDraft) => {
    if (!(error instanceof ProblemError) || error.faults.length === 0) {
      setRefusal(errorText(error, i18n))
      return
    }
    const rest: string[] = []
    for (const { field, rule } of error.faults) {
      const known = fieldOf(field, draft)
      if (known === null) rest.push(field === '' ? rule : t('problem.field', { field, rule }))
      else form.setError(known as FieldPath<LimitsDraft>, { type: 'api', message: rule }, { shouldFocus: true })
    }
    if (rest.length > 0) setRefusal(rest.join(' · '))
  }
  const save = form.handleSubmit(async (draft) => {
    setRefusal(null)
    try {
      await changeQueue(queue.name, bodyOf(draft, queue))
      notify('done', t('queues.limitsDone', { name: queue.name }))
      onClose()
    } catch (error) {
      refused(error, draft)
    }
  })
  return (
    <Dialog title={t('queues.limitsTitle', { name: queue.name })} wide onClose={onClose}>
      <form className="limits-form" noValidate onSubmit={(event) => void save(event)}>
        <p className="muted">{t('queues.limitsHint')}</p>
        <div className="field-row">
          <Field label={t('queues.maxConcurrent')} fault={said(errors.maxConcurrent?.message)}>
            {(input) => <input {...input} {...register('maxConcurrent')} inputMode="numeric" placeholder={t('queues.noLimit')} />}
          </Field>
          <Field label={t('queues.ratePerSecond')} fault={said(errors.ratePerSecond?.message)}>
            {(input) => <input {...input} {...register('ratePerSecond')} inputMode="decimal" placeholder={t('queues.noLimit')} />}
          </Field>
        </div>
        <Types form={form} />
        {refusal !== null && (
          <p className="field-fault" role="alert">
            {refusal}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {t('common.cancel')}
          </button>
          <button type="submit" className="button button-primary" disabled={formState.isSubmitting}>
            {t('queues.save')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function Types({ form: { register, control, formState } }: { form: UseFormReturn<LimitsDraft> }) {
  const { t } = useI18n()
  const { fields, append, remove } = useFieldArray({ control, name: 'types' })
  const said = useFault()
  return (
    <fieldset className="limits-types">
      <legend>{t('queues.byType')}</legend>
      {fields.map((row, i) => {
        const wrong = formState.errors.types?.[i]
        const n = i + 1
        return (
          <div key={row.id} className="field-row limits-row">
            <Field label={t('queues.typeN', { n })} fault={said(wrong?.type?.message)} className="field-wide">
              {(input) => <input {...input} {...register(`types.${i}.type`)} spellCheck={false} autoCapitalize="off" placeholder="image.resize" />}
            </Field>
            <Field label={t('queues.atOnceN', { n })} fault={said(wrong?.maxConcurrent?.message)}>
              {(input) => <input {...input} {...register(`types.${i}.maxConcurrent`)} inputMode="numeric" placeholder={t('queues.noLimit')} />}
            </Field>
            <Field label={t('queues.perSecondN', { n })} fault={said(wrong?.ratePerSecond?.message)}>
              {(input) => <input {...input} {...register(`types.${i}.ratePerSecond`)} inputMode="decimal" placeholder={t('queues.noLimit')} />}
            </Field>
            <button type="button" className="button button-plain" aria-label={t('queues.removeType', { n })} onClick={() => remove(i)}>
              <Icon name="cross" size={11} />
            </button>
          </div>
        )
      })}
      <button type="button" className="button button-small" onClick={() => append({ type: '', maxConcurrent: '', ratePerSecond: '' })}>
        <Icon name="plus" size={11} />
        {t('queues.addType')}
      </button>
    </fieldset>
  )
}
