import { EventRow } from '@/components/EventRow'
import type { Event } from '@/data/events/types'

export function EventList({ label, events }: { label: string; events: readonly Event[] }) {
  return (
    <div className="event-list" role="table" aria-label={label}>
      {events.map((event) => (
        <div key={event.seq} className="event-row" role="row">
          <EventRow event={event} />
        </div>
      ))}
    </div>
  )
}
