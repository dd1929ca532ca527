import '@/styles/task.css'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { ErrorNote } from '@/components/errors'
import { Icon } from '@/components/Icon'
import { taskQuery } from '@/data/tasks/queries'
import { useI18n } from '@/i18n/context'
import { SubmitForm } from './SubmitForm'
import { blank, like } from './submit.model'

/** A new task, from nothing or like one that exists. */
export function SubmitPage() {
  const { t } = useI18n()
  const { like: id } = useSearch({ from: '/ui/submit' })
  const navigate = useNavigate()
  const { data, error, refetch } = useQuery({ ...taskQuery(id ?? ''), enabled: id !== undefined, staleTime: Infinity })
  const ready = id === undefined || data !== undefined
  return (
    <div className="page submit-page">
      <title>{`${t('submit.title')} · ${t('app.name')}`}</title>
      <Link to="/ui/tasks" className="back">
        <Icon name="back" size={12} />
        {t('task.back')}
      </Link>
      <h1>{id === undefined ? t('submit.title') : t('submit.likeTitle', { id })}</h1>
      {data?.payloadExpired && <p className="note"><Icon name="warning" style={{ color: 'var(--orange)' }} />{t('submit.payloadGone')}</p>}
      {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {ready ? (
        <SubmitForm key={id} draft={data ? like(data) : blank} onSubmitted={(made) => void navigate({ to: '/ui/tasks/$id', params: { id: made } })} />
      ) : (
        !error && <p className="empty-line" role="status">{t('common.loading')}</p>
      )}
    </div>
  )
}
