import '@/styles/submit.css'
import '@/styles/queues.css'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { Icon } from '@/components/Icon'
import { Panel } from '@/components/Panel'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { useLive } from '@/data/live/hooks'
import { pauseQueue, resumeQueue } from '@/data/queues/actions'
import type { Queue } from '@/data/queues/types'
import { phaseStates, priorityLabels } from '@/domain/states'
import { useI18n, type I18n } from '@/i18n/context'
import { priorities } from '@/wire/schemas'
import { LimitsDialog } from './LimitsDialog'

export function QueuesPage() {
  const { t } = useI18n()
  const queues = useLive((data) => data.queues)
  const list = [...(queues?.values() ?? [])].sort((a, b) => a.name.localeCompare(b.name))
  const most = Math.max(1, ...list.flatMap((queue) => priorities.map((priority) => queue.depth[priority])))
  return (
    <div className="page queues">
      <title>{`${t('nav.queues')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.queues')}</h1>
      {!queues && <p className="empty-line">{t('common.loading')}</p>}
      {queues && list.length === 0 && (
        <p className="empty-line">
          {t('queues.none')} {t('queues.noneHint')}
        </p>
      )}
      {list.map((queue) => (
        <QueuePanel key={queue.name} queue={queue} most={most} />
      ))}
    </div>
  )
}

/** One queue: its four lanes as bars (all queues to one scale), its flow, its limits. */
function QueuePanel({ queue, most }: { queue: Queue; most: number }) {
  const i18n = useI18n()
  const { t, number, duration } = i18n
  return (
    <Panel title={queue.name} aside={<QueueActions queue={queue} />} className="queue">
      <div className="queue-body">
        <ul className="lanes">
          {priorities.map((priority) => (
            <li key={priority}>
              <Link to="/ui/tasks" search={{ queue: queue.name, priority, status: 'pending' }}>
                <span>{t(priorityLabels[priority])}</span>
                <span className="bar">
                  <i style={{ width: `${(queue.depth[priority] / most) * 100}%` }} />
                </span>
                <span className="number">{number(queue.depth[priority])}</span>
              </Link>
            </li>
          ))}
        </ul>
        <dl className="details">
          <div>
            <dt>{t('queues.waiting')}</dt>
            <dd>
              <Link to="/ui/tasks" search={{ queue: queue.name, status: 'pending' }}>{number(queue.waiting)}</Link>
            </dd>
          </div>
          <div>
            <dt>{t('queues.oldest')}</dt>
            <dd>{queue.oldestWaitMs === null ? t('common.dash') : duration(queue.oldestWaitMs)}</dd>
          </div>
          <div>
            <dt>{t('queues.in')}</dt>
            <dd>{rate(queue.rateIn, i18n)}</dd>
          </div>
          <div>
            <dt>{t('queues.out')}</dt>
            <dd>{rate(queue.rateOut, i18n)}</dd>
          </div>
          <div>
            <dt>{t('queues.limits')}</dt>
            <dd>
              <Limits queue={queue} />
            </dd>
          </div>
          <div>
            <dt>{t('queues.servedBy')}</dt>
            <dd>
              {queue.servedBy.length > 0 ? (
                <Link to="/ui/workers">{queue.servedBy.join(', ')}</Link>
              ) : (
                <span className="state" title={t('queues.nobodyHint')}>
                  <Icon name="warning" style={{ color: 'var(--orange)' }} />
                  {t('queues.nobody')}
                </span>
              )}
            </dd>
          </div>
        </dl>
      </div>
      {queue.servedBy.length === 0 && queue.waiting > 0 && <p className="muted queue-warning">{t('queues.nobodyHint')}</p>}
    </Panel>
  )
}

function QueueActions({ queue: { name, paused, waiting } }: { queue: Queue }) {
  const { t } = useI18n()
  const mayAct = useMay('operate')
  const [asked, setAsked] = useState(false)
  const pause = useAction({ run: () => pauseQueue(name), done: () => t('queues.pausedDone', { name }) })
  const resume = useAction({ run: () => resumeQueue(name), done: () => t('queues.resumedDone', { name }) })
  return (
    <>
      {paused && (
        <span className="state">
          <Icon name="pause" style={{ color: phaseStates.paused.color }} />
          {t('queues.paused')}
        </span>
      )}
      {mayAct && (paused ? (
        <button type="button" className="button button-small" disabled={resume.isPending} onClick={() => resume.mutate(undefined)}>
          {t('queues.resume')}
        </button>
      ) : (
        <button type="button" className="button button-small" disabled={pause.isPending} onClick={() => setAsked(true)}>
          {t('queues.pause')}
        </button>
      ))}
      {asked && (
        <Confirm
          title={t('queues.pauseTitle', { name })}
          action={t('queues.pause')}
          onClose={() => setAsked(false)}
          onConfirm={() => {
            pause.mutate(undefined)
            setAsked(false)
          }}
        >
          <p className="muted">{t('queues.pauseBody', { n: waiting })}</p>
        </Confirm>
      )}
    </>
  )
}

const rate = (value: number | null, { t }: I18n): string => (value === null ? t('common.dash') : t('queues.perSecond', { n: Math.round(value * 10) / 10 }))

/** Said as a line each; opens the form that changes them. */
function Limits({ queue }: { queue: Queue }) {
  const i18n = useI18n()
  const [open, setOpen] = useState(false)
  const mayAct = useMay('operate')
  const lines = limits(queue, i18n).map((line) => <span key={line}>{line}</span>)
  if (!mayAct) return <span className="queue-limits">{lines}</span>
  return (
    <>
      <button type="button" className="queue-limits" aria-label={i18n.t('queues.editLimits', { name: queue.name })} onClick={() => setOpen(true)}>
        {lines}
        <Icon name="edit" size={12} />
      </button>
      {open && <LimitsDialog queue={queue} onClose={() => setOpen(false)} />}
    </>
  )
}

function limits({ maxConcurrent, ratePerSecond, types }: Queue, { t }: I18n): string[] {
  const lines = [{ name: '', maxConcurrent, ratePerSecond }, ...Object.entries(types).map(([name, own]) => ({ name: `${name}: `, ...own }))].flatMap((limit) => {
    const parts = [...(limit.maxConcurrent === null ? [] : [t('queues.concurrent', { n: limit.maxConcurrent })]), ...(limit.ratePerSecond === null ? [] : [t('queues.perSecond', { n: limit.ratePerSecond })])]
    return parts.length === 0 ? [] : [limit.name + parts.join(', ')]
  })
  return lines.length === 0 ? [t('queues.noLimit')] : lines
}
