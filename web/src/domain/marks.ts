import type { Mark } from '@/components/charts/plot'
import type { Event } from '@/data/events/types'
import type { I18n } from '@/i18n/context'
import { describeEvent } from './events'
import { eventState } from './states'

/** So many marks of one kind fit side by side; what is nearer together is one mark. */
const places = 120

/**
 * What the charts mark: scalings, and what failed for good, was lost or hung. Many failures
 * at one place are one tick that says how many they are.
 */
export function toMarks(events: readonly Event[], windowMs: number, i18n: I18n): Mark[] {
  const width = Math.max(1, windowMs / places)
  const groups = new Map<string, Event[]>()
  for (const event of events) {
    const key = `${event.event} ${Math.floor(event.timestamp / width)}`
    groups.set(key, [...(groups.get(key) ?? []), event])
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    return first ? [toMark(first, group.length - 1, i18n)] : []
  })
}

function toMark(event: Event, more: number, i18n: I18n): Mark {
  const said = describeEvent(event, i18n)
  return {
    at: event.timestamp,
    label: more === 0 ? said : `${said} ${i18n.t('chart.more', { n: more })}`,
    color: eventState(event.event, event.data).color,
    small: event.event.startsWith('task.'),
  }
}
