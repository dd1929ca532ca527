import { useFieldArray, useFormContext } from 'react-hook-form'
import { Field } from '@/components/Field'
import { Icon } from '@/components/Icon'
import { useI18n } from '@/i18n/context'
import { policies, type Draft } from './submit.model'
import { useFault } from '@/components/useFault'

/** All that has a default: what is left empty is for the server to say. */
export function More({ open }: { open: boolean }) {
  const { t } = useI18n()
  const { register, formState } = useFormContext<Draft>()
  const said = useFault()
  const { errors } = formState
  const faulty = (['maxRetries', 'timeout', 'policy', 'base', 'max', 'jitter', 'retention', 'id', 'tags'] as const).some((name) => errors[name])
  return (
    <details className="submit-more" open={open || faulty}>
      <summary>{t('submit.more')}</summary>
      <div className="field-row">
        <Field label={t('submit.maxRetries')} fault={said(errors.maxRetries?.message)}>
          {(input) => <input {...input} {...register('maxRetries')} inputMode="numeric" placeholder="3" />}
        </Field>
        <Field label={t('task.timeout')} hint={t('submit.durationHint')} fault={said(errors.timeout?.message)}>
          {(input) => <input {...input} {...register('timeout')} placeholder="1 h" />}
        </Field>
        <Field label={t('task.retention')} fault={said(errors.retention?.message)}>
          {(input) => <input {...input} {...register('retention')} placeholder="24 h" />}
        </Field>
      </div>
      <div className="field-row">
        <Field label={t('task.backoff')} fault={said(errors.policy?.message)}>
          {(input) => (
            <select {...input} {...register('policy')}>
              <option value="">{t('submit.default', { value: t('backoff.exponential') })}</option>
              {policies.map((policy) => (
                <option key={policy} value={policy}>
                  {t(`backoff.${policy}`)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={t('submit.base')} fault={said(errors.base?.message)}>
          {(input) => <input {...input} {...register('base')} placeholder="1 s" />}
        </Field>
        <Field label={t('submit.max')} fault={said(errors.max?.message)}>
          {(input) => <input {...input} {...register('max')} placeholder="1 m" />}
        </Field>
        <Field label={t('submit.jitter')} hint={t('submit.jitterHint')} fault={said(errors.jitter?.message)}>
          {(input) => <input {...input} {...register('jitter')} inputMode="decimal" placeholder="0.2" />}
        </Field>
      </div>
      <Tags />
      <Field label={t('submit.id')} hint={t('submit.idHint')} fault={said(errors.id?.message)} className="field-short">
        {(input) => <input {...input} {...register('id')} spellCheck={false} autoCapitalize="off" placeholder={t('submit.idMade')} />}
      </Field>
    </details>
  )
}

function Tags() {
  const { t } = useI18n()
  const { register, control, formState } = useFormContext<Draft>()
  const { fields, append, remove } = useFieldArray({ control, name: 'tags' })
  const said = useFault()
  const fault = said(formState.errors.tags?.message ?? formState.errors.tags?.root?.message)
  return (
    <fieldset className="tags-field">
      <legend>{t('task.tags')}</legend>
      {fields.map((field, i) => {
        const wrong = said(formState.errors.tags?.[i]?.key?.message)
        const n = i + 1
        return (
          <div key={field.id} className="tag-row" data-faulty={wrong !== undefined}>
            <input {...register(`tags.${i}.key`)} aria-label={t('submit.tagKey', { n })} aria-invalid={wrong !== undefined} placeholder={t('submit.tagKeyExample')} spellCheck={false} autoCapitalize="off" />
            <span aria-hidden="true">=</span>
            <input {...register(`tags.${i}.value`)} aria-label={t('submit.tagValue', { n })} aria-invalid={wrong !== undefined} />
            <button type="button" className="button button-plain" aria-label={t('submit.removeTag', { n })} onClick={() => remove(i)}>
              <Icon name="cross" size={11} />
            </button>
            {wrong !== undefined && (
              <p className="field-fault" role="alert">
                {wrong}
              </p>
            )}
          </div>
        )
      })}
      {fault !== undefined && (
        <p className="field-fault" role="alert">
          {fault}
        </p>
      )}
      <button type="button" className="button button-small" onClick={() => append({ key: '', value: '' })}>
        <Icon name="plus" size={11} />
        {t('submit.addTag')}
      </button>
    </fieldset>
  )
}
