import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { useDeferredValue, useEffect, useRef, useState, type ReactNode } from 'react'
import { Icon, type IconName } from '@/components/Icon'
import { StateBadge } from '@/components/StateBadge'
import { useLive } from '@/data/live/hooks'
import { latestTasksQuery } from '@/data/tasks/latest'
import { taskStates, workerStates } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { maybeTaskId, pages } from './commands'
import { useActions } from './useActions'

const mostWorkers = 8
const mostTasks = 6

/** Finds pages, tasks by id, workers, queues and actions; everything by keyboard. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const { t } = useI18n()
  const navigate = useNavigate()
  const dialog = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState('')
  useEffect(() => {
    dialog.current?.showModal()
    // The dialog would give the focus to the list around the input, which can have it, too.
    dialog.current?.querySelector('input')?.focus()
  }, [])
  const actions = useActions()
  const then = (act: () => unknown) => () => {
    onClose()
    act()
  }
  return (
    <dialog ref={dialog} className="palette" aria-label={t('palette.title')} onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <Command label={t('palette.title')} loop>
        <div className="palette-input">
          <Icon name="search" />
          <Command.Input value={text} onValueChange={setText} placeholder={t('palette.hint')} />
          <kbd>Esc</kbd>
        </div>
        <Command.List label={t('palette.results')}>
          <Command.Empty>{t('palette.none')}</Command.Empty>
          <Group name={t('palette.pages')}>
            {pages.map(({ to, label, icon, key }) => (
              <Item key={to} value={t(label)} icon={icon} onSelect={then(() => navigate({ to }))} keys={['g', key]}>
                {t(label)}
              </Item>
            ))}
          </Group>
          <Tasks text={text.trim()} open={(id) => then(() => navigate({ to: '/ui/tasks/$id', params: { id } }))()} />
          <Workers open={(id) => then(() => navigate({ to: '/ui/workers/$id', params: { id } }))()} text={text} />
          <Group name={t('palette.actions')}>
            {actions.map(({ name, icon, run }) => (
              <Item key={name} value={name} icon={icon} onSelect={then(run)}>
                {name}
              </Item>
            ))}
          </Group>
        </Command.List>
      </Command>
    </dialog>
  )
}

function Group({ name, children }: { name: string; children: ReactNode }) {
  return <Command.Group heading={name}>{children}</Command.Group>
}

interface ItemProps {
  value: string
  icon: IconName
  onSelect: () => void
  keys?: string[]
  keywords?: string[]
  children: ReactNode
}

function Item({ value, icon, onSelect, keys = [], keywords, children }: ItemProps) {
  return (
    <Command.Item value={value} onSelect={onSelect} {...(keywords && { keywords })}>
      <Icon name={icon} />
      <span className="palette-text">{children}</span>
      {keys.map((key) => (
        <kbd key={key}>{key}</kbd>
      ))}
    </Command.Item>
  )
}

/** Tasks whose id begins with what is typed, asked of the server. */
function Tasks({ text, open }: { text: string; open: (id: string) => void }) {
  const { t } = useI18n()
  const asked = useDeferredValue(maybeTaskId(text) ? text : '')
  const { data } = useQuery({ ...latestTasksQuery({ q: asked }, mostTasks), enabled: asked !== '' })
  const tasks = asked === '' ? [] : (data ?? [])
  if (tasks.length === 0) return null
  return (
    <Group name={t('palette.tasks')}>
      {tasks.map((task) => (
        <Item key={task.id} value={`task:${task.id}`} keywords={[task.id, text]} icon="tasks" onSelect={() => open(task.id)}>
          {task.id} <span className="muted">{task.type}</span> <StateBadge state={taskStates[task.status]} />
        </Item>
      ))}
    </Group>
  )
}

/** Workers alive: a few while nothing is typed, all that match once something is. */
function Workers({ text, open }: { text: string; open: (id: string) => void }) {
  const { t } = useI18n()
  const workers = useLive((data) => data.workers)
  const all = [...(workers?.values() ?? [])]
  const shown = text.trim() === '' ? all.slice(0, mostWorkers) : all
  if (shown.length === 0) return null
  return (
    <Group name={t('palette.workers')}>
      {shown.map((worker) => (
        <Item key={worker.id} value={worker.id} icon="workers" onSelect={() => open(worker.id)}>
          {worker.id} <span className="muted">{worker.pool}</span> <StateBadge state={workerStates[worker.status]} />
        </Item>
      ))}
    </Group>
  )
}
