import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { useAction } from '@/components/useAction'
import { cancelTask, deleteTask, retryTask } from '@/data/tasks/actions'
import { taskKeys } from '@/data/tasks/queries'
import type { TaskDetail } from '@/data/tasks/types'
import { isOpen } from '@/domain/states'
import { useI18n } from '@/i18n/context'

/** What can be done to the task as it stands. */
export function TaskActions({ task: { id, status, payloadExpired } }: { task: TaskDetail }) {
  const { t } = useI18n()
  const navigate = useNavigate()
  const queries = useQueryClient()
  const [asked, setAsked] = useState<'cancel' | 'delete' | null>(null)
  const refresh = () => void queries.invalidateQueries({ queryKey: taskKeys.all })
  const cancel = useAction({ run: () => cancelTask(id), done: () => t('task.cancelled', { id }), then: refresh })
  const retry = useAction({ run: () => retryTask(id), done: () => t('task.retried', { id }), then: refresh })
  const remove = useAction({
    run: () => deleteTask(id),
    done: () => t('task.deleted', { id }),
    then: () => {
      queries.removeQueries({ queryKey: taskKeys.detail(id) })
      void queries.invalidateQueries({ queryKey: taskKeys.lists() })
      void navigate({ to: '/ui/tasks' })
    },
  })
  const confirm = () => {
    if (asked === 'cancel') cancel.mutate(undefined)
    else remove.mutate(undefined)
    setAsked(null)
  }
  return (
    <div className="actions">
      {isOpen(status) && (
        <button type="button" className="button" disabled={cancel.isPending} onClick={() => setAsked('cancel')}>
          {t('task.cancel')}
        </button>
      )}
      {(status === 'failed' || status === 'cancelled') && (
        <button type="button" className="button button-primary" disabled={retry.isPending || payloadExpired} onClick={() => retry.mutate(undefined)}>
          {t('task.retry')}
        </button>
      )}
      {!isOpen(status) && (
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
