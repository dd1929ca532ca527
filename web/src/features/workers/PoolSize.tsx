import { useId, useState, type SubmitEvent } from 'react'
import { Dialog } from '@/components/Dialog'
import { useAction } from '@/components/useAction'
import { changePool, type PoolChange } from '@/data/pools/actions'
import type { Pool } from '@/data/pools/types'
import { useI18n } from '@/i18n/context'
import { readSize } from './size.model'

/** The form that changes how small and how large a pool may be. */
export function PoolSize({ pool, onClose }: { pool: Pool; onClose: () => void }) {
  const { t } = useI18n()
  const { name } = pool
  const rule = useId()
  const [min, setMin] = useState(String(pool.min))
  const [max, setMax] = useState(String(pool.max))
  const size = readSize(min, max)
  const change = useAction({
    run: (value: PoolChange) => changePool(name, value),
    done: (_, value) => (value.max == null ? t('pools.resetDone', { name }) : t('pools.saved', { name, min: value.min ?? 0, max: value.max })),
    then: onClose,
  })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (size) change.mutate(size)
  }
  const fields = [
    { label: t('pools.min'), value: min, set: setMin },
    { label: t('pools.max'), value: max, set: setMax },
  ]
  return (
    <Dialog title={t('pools.editTitle', { name })} onClose={onClose}>
      <form onSubmit={submit} className="pool-form">
        <p className="muted">{t('pools.editBody')}</p>
        <div className="pool-fields">
          {fields.map(({ label, value, set }) => (
            <label key={label}>
              <span>{label}</span>
              <input inputMode="numeric" className="input" value={value} aria-invalid={!size} aria-describedby={rule} onChange={(event) => set(event.target.value)} />
            </label>
          ))}
        </div>
        <p id={rule} className={size ? 'muted' : 'field-fault'} role={size ? undefined : 'alert'}>
          {t('pools.wrong')}
        </p>
        <div className="dialog-actions">
          <button type="button" className="button button-link" disabled={change.isPending} onClick={() => change.mutate({ min: null, max: null })}>
            {t('pools.reset')}
          </button>
          <span className="space" />
          <button type="button" className="button" onClick={onClose}>
            {t('common.cancel')}
          </button>
          <button type="submit" className="button button-primary" disabled={!size || change.isPending}>
            {t('pools.save')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
