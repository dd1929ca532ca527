import { useQuery } from '@tanstack/react-query'
import { useId } from 'react'
import { useFormContext, useWatch } from 'react-hook-form'
import { Field } from '@/components/Field'
import { useLive } from '@/data/live/hooks'
import { taskFacetsQuery } from '@/data/tasks/queries'
import { priorityLabels } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { jsonFault } from '@/lib/jsonfault'
import { priorities } from '@/wire/schemas'
import type { Draft } from './submit.model'
import { useFault } from '@/components/useFault'

/** What is to be done, and with what. */
export function Work() {
  const { t } = useI18n()
  const { register, formState } = useFormContext<Draft>()
  const said = useFault()
  const { errors } = formState
  const types = useId()
  const queues = useId()
  const { data } = useQuery({ ...taskFacetsQuery({}), staleTime: 60_000 })
  const known = useLive((picture) => picture.queues)
  const priority = useWatch<Draft, 'priority'>({ name: 'priority' })
  return (
    <fieldset>
      <legend>{t('submit.work')}</legend>
      <div className="field-row">
        <Field label={t('col.type')} hint={t('submit.typeHint')} fault={said(errors.type?.message)} className="field-wide">
          {(input) => <input {...input} {...register('type')} list={types} required autoFocus spellCheck={false} autoCapitalize="off" placeholder="image.resize" />}
        </Field>
        <Field label={t('task.queue')} fault={said(errors.queue?.message)}>
          {(input) => <input {...input} {...register('queue')} list={queues} spellCheck={false} autoCapitalize="off" placeholder="default" />}
        </Field>
      </div>
      <datalist id={types}>
        {[...new Set([...Object.keys(data?.type ?? {}), ...builtIn])].sort().map((type) => (
          <option key={type} value={type} />
        ))}
      </datalist>
      <datalist id={queues}>
        {[...(known?.keys() ?? [])].map((queue) => (
          <option key={queue} value={queue} />
        ))}
      </datalist>
      <fieldset className="choices">
        <legend>{t('col.priority')}</legend>
        {priorities.map((value) => (
          <label key={value} data-on={priority === value}>
            <input type="radio" value={value} {...register('priority')} />
            {t(priorityLabels[value])}
          </label>
        ))}
      </fieldset>
      <Payload />
    </fieldset>
  )
}

/** The types that every worker of Batuta's own knows, with what they take. */
const examples: Record<string, string> = {
  sleep: '{"ms": 3000}',
  hash: '{"text": "batuta", "algorithm": "sha256", "rounds": 1000}',
}
const builtIn = Object.keys(examples)

function Payload() {
  const { t } = useI18n()
  const { register, formState } = useFormContext<Draft>()
  const said = useFault()
  const [type, payload] = useWatch<Draft, ['type', 'payload']>({ name: ['type', 'payload'] })
  const message = said(formState.errors.payload?.message)
  const place = message === undefined || payload.trim() === '' ? null : jsonFault(payload)
  return (
    <Field label={t('task.payload')} hint={t('submit.payloadHint')} fault={place ? t('submit.jsonAt', { line: place.line, column: place.column }) : message} className="field-wide">
      {(input) => <textarea {...input} {...register('payload')} rows={6} spellCheck={false} placeholder={examples[type] ?? '{ }'} />}
    </Field>
  )
}
