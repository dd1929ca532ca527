import { useEffect } from 'react'
import { EventRow } from '@/components/EventRow'
import { useVirtualRows } from '@/components/useVirtualRows'
import type { Event } from '@/data/events/types'
import { useI18n } from '@/i18n/context'
import { useNarrow } from '@/lib/media'

interface EventsTableProps {
  events: readonly Event[]
  /** Whether there is something older; `onEnd` asks for it shortly before it is scrolled to. */
  more: boolean
  onEnd: () => void
}

const readAhead = 150

export function EventsTable({ events, more, onEnd }: EventsTableProps) {
  const { t } = useI18n()
  const rowHeight = useNarrow() ? 50 : 28
  const { listRef, totalHeight, rows } = useVirtualRows(events.length, rowHeight, (index) => events[index]?.seq ?? String(index))
  const last = rows[rows.length - 1]?.index ?? 0
  const near = more && last + readAhead > events.length
  useEffect(() => {
    if (near) onEnd()
    // Asked once each time the end comes near; `onEnd` is another function on every render.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [near, events.length])
  return (
    <div className="grid event-grid" role="table" aria-label={t('nav.events')} aria-rowcount={more ? -1 : events.length + 1}>
      <div className="grid-head" role="row">
        <span role="columnheader">{t('events.time')}</span>
        <span role="columnheader">{t('events.event')}</span>
        <span role="columnheader">{t('events.description')}</span>
      </div>
      <div ref={listRef} role="rowgroup" className="grid-rows" style={{ height: totalHeight }}>
        {rows.map(({ key, index, top }) => {
          const event = events[index]
          return (
            event && (
              <div key={key} className="grid-row event-row" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)`, height: rowHeight }}>
                <EventRow event={event} />
              </div>
            )
          )
        })}
      </div>
    </div>
  )
}
