import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { cancelTask, deleteTask, retryTask } from '@/data/tasks/actions'
import { taskKeys } from '@/data/tasks/queries'
import type { TaskDetail } from '@/data/tasks/types'
import { isOpen } from '@/domain/states'
import { useI18n } from '@/i18n/context'

/** What can be done to the task as it stands. */
export function TaskActions({ task: { id, status, payloadExpired }, onDeleted }: { task: TaskDetail; onDeleted: () => void }) {
  const { t } = useI18n()
  const queries = useQueryClient()
  const [asked, setAsked] = useState<'cancel' | 'delete' | null>(null)
  const refresh = () => void queries.invalidateQueries({ queryKey: taskKeys.all })
  const cancel = useAction({ run: () => cancelTask(id), done: () => t('task.cancelled', { id }), then: refresh })
  const retry = useAction({ run: () => retryTask(id), done: () => t('task.retried', { id }), then: refresh })
  const remove = useAction({
    run: () => deleteTask(id),
    done: () => t('task.deleted', { id }),
    then: () => {
      onDeleted()
      queries.removeQueries({ queryKey: taskKeys.detail(id) })
    },
  })
  const confirm = () => {
    if (asked === 'cancel') cancel.mutate(undefined)
    else remove.mutate(undefined)
    setAsked(null)
  }
  const mayAct = useMay('operate')
  const maySubmit = useMay('submit')
  const failed = status === 'failed' || status === 'cancelled'
  return (
    <div className="actions">
      {mayAct && isOpen(status) && (
        <button type="button" className="button" disabled={cancel.isPending} onClick={() => setAsked('cancel')}>
          {t('task.cancel')}
        </button>
      )}
      {mayAct && failed && (
        <button type="button" className="button button-primary" disabled={retry.isPending || payloadExpired} title={payloadExpired ? t('task.payloadExpired') : undefined} onClick={() => retry.mutate(undefined)}>
          {t('task.retry')}
        </button>
      )}
      {maySubmit && (
        <Link to="/ui/submit" search={{ like: id }} className="button">
          {t('task.again')}
        </Link>
      )}
      {mayAct && !isOpen(status) && (
        <button type="button" className="button" disabled={remove.isPending} onClick={() => setAsked('delete')}>
          {t('task.delete')}
        </button>
      )}
      {asked && (
        <Confirm title={t(asked === 'cancel' ? 'task.cancelTitle' : 'task.deleteTitle', { id })} action={t(asked === 'cancel' ? 'task.cancel' : 'task.delete')} onConfirm={confirm} onClose={() => setAsked(null)}>
          <p className="muted">{t(asked === 'cancel' ? 'task.cancelBody' : 'task.deleteBody')}</p>
        </Confirm>
      )}
    </div>
  )
}
