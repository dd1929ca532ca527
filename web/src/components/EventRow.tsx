import { Link } from '@tanstack/react-router'
import { Fragment, memo, type ReactNode } from 'react'
import type { Event } from '@/data/events/types'
import { describeEvent, eventName } from '@/domain/events'
import { eventState } from '@/domain/states'
import { useI18n } from '@/i18n/context'
import { Icon } from './Icon'
import { Clock } from './Time'

/** One event in one line: time, event, description with its ids as links. */
export const EventRow = memo(function EventRow({ event }: { event: Event }) {
  const i18n = useI18n()
  const { color, icon } = eventState(event.event, event.data)
  const description = describeEvent(event, i18n)
  return (
    <>
      <span className="event-time" role="cell">
        <Clock at={event.timestamp} />
      </span>
      <span className="event-name" role="cell">
        <Icon name={icon} style={{ color }} />
        {eventName(event.event, i18n)}
      </span>
      <span className="event-text" role="cell" title={description}>
        {linked(description, event)}
      </span>
    </>
  )
})

function linked(text: string, { taskId, workerId, event }: Event): ReactNode {
  const ids = [taskId, workerId].filter((id): id is string => id !== null && id !== '')
  if (ids.length === 0) return text
  const pattern = new RegExp(`(${ids.map(escaped).join('|')})(?![A-Za-z0-9_-])`)
  return text.split(pattern).map((part, i) => {
    // A deleted task has no page any more.
    if (part === taskId && event !== 'task.deleted') return <Link key={i} to="/ui/tasks/$id" params={{ id: part }}>{part}</Link>
    if (part === workerId) return <Link key={i} to="/ui/workers/$id" params={{ id: part }}>{part}</Link>
    return <Fragment key={i}>{part}</Fragment>
  })
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
