import { useEffect, useRef, useState, type ReactNode } from 'react'
import { ErrorNote } from '@/components/errors'
import { Clock } from '@/components/Time'
import type { LogLine, TaskDetail } from '@/data/tasks/types'
import { useTaskLogs } from '@/data/tasks/useTaskLogs'
import { isOpen } from '@/domain/states'
import { useI18n } from '@/i18n/context'

/** The newest lines that are drawn; who wants more asks. */
const shownAtOnce = 500

/** The task's own words. While it runs they come in, and the view stays at the end unless it is scrolled away. */
export function Logs({ task: { id, status } }: { task: TaskDetail }) {
  const { t } = useI18n()
  const { data, error, refetch } = useTaskLogs(id, isOpen(status))
  useEffect(() => {
    // What it said last may have come after the last look.
    if (!isOpen(status)) void refetch()
  }, [status, refetch])
  if (error && !data) return <ErrorNote error={error} onRetry={() => void refetch()} />
  const lines = data ? [...data.settled, ...data.tail] : []
  if (lines.length === 0) return <p className="empty-line">{data ? t(isOpen(status) ? 'task.noLogsYet' : 'task.noLogs') : t('common.loading')}</p>
  return (
    <>
      <Lines lines={lines} />
      {data?.more && (
        <button type="button" className="button button-small" onClick={() => void refetch()}>
          {t('task.moreLogs')}
        </button>
      )}
    </>
  )
}

function Lines({ lines }: { lines: readonly LogLine[] }) {
  const { t } = useI18n()
  const [all, setAll] = useState(false)
  const hidden = all ? 0 : Math.max(0, lines.length - shownAtOnce)
  const { list, onScroll } = useEnd(lines.length)
  return (
    <ol ref={list} className="logs" tabIndex={0} aria-label={t('task.logs')} onScroll={onScroll}>
      {hidden > 0 && (
        <li className="logs-more">
          <button type="button" className="button button-small" onClick={() => setAll(true)}>
            {t('task.earlierLogs', { n: hidden })}
          </button>
        </li>
      )}
      {lines.slice(hidden).map((line, i) => (
        <Line key={hidden + i} line={line} first={line.attempt !== lines[hidden + i - 1]?.attempt} />
      ))}
    </ol>
  )
}

function Line({ line, first }: { line: LogLine; first: boolean }): ReactNode {
  const { t } = useI18n()
  return (
    <>
      {first && line.attempt !== null && <li className="logs-attempt muted">{t('task.attemptN', { n: line.attempt })}</li>}
      <li data-level={line.level}>
        <Clock at={line.at} />
        <span className="log-level">{line.level}</span>
        <span className="log-text">{line.message}</span>
      </li>
    </>
  )
}

/** Keeps a list scrolled to its end as it grows, unless the reader has scrolled up. */
function useEnd(length: number) {
  const list = useRef<HTMLOListElement>(null)
  const atEnd = useRef(true)
  useEffect(() => {
    if (atEnd.current && list.current) list.current.scrollTop = list.current.scrollHeight
  }, [length])
  const onScroll = () => {
    const element = list.current
    if (element) atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 8
  }
  return { list, onScroll }
}
