import { EventRow } from '@/components/EventRow'
import { useVirtualRows } from '@/components/useVirtualRows'
import type { Event } from '@/data/events/types'
import { useI18n } from '@/i18n/context'
import { useNarrow } from '@/lib/media'

export function EventsTable({ events }: { events: Event[] }) {
  const { t } = useI18n()
  const rowHeight = useNarrow() ? 50 : 28
  const { listRef, totalHeight, rows } = useVirtualRows(events.length, rowHeight, (index) => events[index]?.seq ?? String(index))
  return (
    <div className="grid event-grid" role="table" aria-label={t('nav.events')} aria-rowcount={events.length + 1}>
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
