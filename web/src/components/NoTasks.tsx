import { useMay } from '@/data/access'
import { sampleTask, submitTask } from '@/data/tasks/actions'
import { useI18n } from '@/i18n/context'
import { CopyButton } from './CopyButton'
import { useAction } from './useAction'

/** The empty system teaches: lines that submit a task to this very server, and a button that does. */
export function NoTasks() {
  const { t } = useI18n()
  const maySubmit = useMay('submit')
  const submit = useAction({ run: () => submitTask(sampleTask), done: ({ id }) => t('empty.submitted', { id }) })
  const body = JSON.stringify(sampleTask)
  const lines = [
    { label: t('empty.http'), text: `curl -X POST ${location.origin}/tasks -H 'Content-Type: application/json' -d '${body}'` },
    { label: t('empty.nats'), text: `nats pub -s nats://${location.hostname}:4222 batuta.submit.${sampleTask.type} '${JSON.stringify({ payload: sampleTask.payload })}'` },
  ]
  return (
    <div className="teach">
      <h2>{t('empty.title')}</h2>
      <p className="muted">{t('empty.hint')}</p>
      {lines.map(({ label, text }) => (
        <div key={label} className="teach-line">
          <span className="muted">{label}</span>
          <div className="code">
            <CopyButton text={text} label={`${t('empty.copy')}: ${label}`} />
            <pre tabIndex={0} aria-label={label}>{text}</pre>
          </div>
        </div>
      ))}
      {maySubmit && (
        <button type="button" className="button button-primary" disabled={submit.isPending} onClick={() => submit.mutate(undefined)}>
          {t('empty.submit')}
        </button>
      )}
    </div>
  )
}
