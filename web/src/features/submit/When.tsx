import { useFormContext, useWatch } from 'react-hook-form'
import { Field } from '@/components/Field'
import { useI18n } from '@/i18n/context'
import { starts, type Draft } from './submit.model'
import { useFault } from '@/components/useFault'

/** When it is to run: now, after a while, or at a time. */
export function When() {
  const { t } = useI18n()
  const { register, formState } = useFormContext<Draft>()
  const said = useFault()
  const start = useWatch<Draft, 'start'>({ name: 'start' })
  const { errors } = formState
  return (
    <fieldset>
      <legend>{t('submit.when')}</legend>
      <fieldset className="choices">
        <legend className="visually-hidden">{t('submit.when')}</legend>
        {starts.map((value) => (
          <label key={value} data-on={start === value}>
            <input type="radio" value={value} {...register('start')} />
            {t(`submit.start.${value}`)}
          </label>
        ))}
      </fieldset>
      <div className="field-row">
        {start === 'delay' && (
          <Field label={t('submit.delay')} hint={t('submit.durationHint')} fault={said(errors.delay?.message)} className="field-short">
            {(input) => <input {...input} {...register('delay')} placeholder="10 m" />}
          </Field>
        )}
        {start === 'at' && (
          <Field label={t('submit.runAt')} hint={t('submit.zoneHint')} fault={said(errors.runAt?.message)} className="field-short">
            {(input) => <input {...input} {...register('runAt')} type="datetime-local" step={1} />}
          </Field>
        )}
        <Field label={t('task.deadline')} hint={t('submit.deadlineHint')} fault={said(errors.deadline?.message)} className="field-short">
          {(input) => <input {...input} {...register('deadline')} type="datetime-local" step={1} />}
        </Field>
      </div>
    </fieldset>
  )
}
