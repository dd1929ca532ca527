import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { Icon } from '@/components/Icon'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { drainWorker, killWorker } from '@/data/workers/actions'
import type { Worker } from '@/data/workers/types'
import { useI18n } from '@/i18n/context'

/** Drain and kill, each asked for once. In a row of many they are icons with the worker's name. */
export function WorkerActions({ worker, inRow = false }: { worker: Pick<Worker, 'id' | 'status' | 'assignedTasks'>; inRow?: boolean }) {
  const { t } = useI18n()
  const [asked, setAsked] = useState<'drain' | 'kill' | null>(null)
  const { id, status, assignedTasks: n } = worker
  const drain = useAction({ run: () => drainWorker(id), done: () => t('workers.drainDone', { id }) })
  const kill = useAction({ run: () => killWorker(id), done: () => t('workers.killDone', { id }) })
  if (!useMay('operate')) return null
  const verbs = [
    { name: 'drain', icon: 'drain', off: status === 'draining' || drain.isPending },
    { name: 'kill', icon: 'cross', off: kill.isPending },
  ] as const
  return (
    <span className={inRow ? 'row-actions' : 'actions'}>
      {verbs.map(({ name, icon, off }) => (
        <button
          key={name}
          type="button"
          className={inRow ? 'button button-plain' : 'button'}
          disabled={off}
          aria-label={t(`workers.${name}Of`, { id })}
          title={t(`workers.${name}Of`, { id })}
          onClick={() => setAsked(name)}
        >
          <Icon name={icon} />
          {!inRow && t(`workers.${name}`)}
        </button>
      ))}
      {asked && (
        <Confirm
          title={t(`workers.${asked}Title`, { id })}
          action={t(`workers.${asked}`)}
          onClose={() => setAsked(null)}
          onConfirm={() => {
            setAsked(null)
            if (asked === 'drain') drain.mutate(undefined)
            else kill.mutate(undefined)
          }}
        >
          <p>{t(`workers.${asked}Body`, { n })}</p>
        </Confirm>
      )}
    </span>
  )
}
