/** What the palette offers, apart from how it is shown. */
import type { IconName } from '@/components/Icon'
import type { I18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'

export type PageTo = '/ui' | '/ui/tasks' | '/ui/workers' | '/ui/queues' | '/ui/events'

/** The pages, in the order of the navigation, each with the key that follows `g`. */
export const pages: { to: PageTo; label: Key; icon: IconName; key: string }[] = [
  { to: '/ui', label: 'nav.overview', icon: 'overview', key: 'o' },
  { to: '/ui/tasks', label: 'nav.tasks', icon: 'tasks', key: 't' },
  { to: '/ui/workers', label: 'nav.workers', icon: 'workers', key: 'w' },
  { to: '/ui/queues', label: 'nav.queues', icon: 'queues', key: 'q' },
  { to: '/ui/events', label: 'nav.events', icon: 'events', key: 'e' },
]

/** Ids of tasks are looked up while they are typed; this is what one may look like. */
export const maybeTaskId = (text: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(text)

/** The keys that work everywhere, with what they do, for the list that `?` opens. */
export function shortcuts({ t }: I18n): { keys: string[][]; does: string }[] {
  return [
    { keys: [['Ctrl', 'K'], ['⌘', 'K']], does: t('keys.palette') },
    ...pages.map(({ key, label }) => ({ keys: [['g', key]], does: t('keys.page', { page: t(label) }) })),
    { keys: [['/']], does: t('keys.search') },
    { keys: [['p']], does: t('keys.pause') },
    { keys: [['?']], does: t('keys.help') },
    { keys: [['Esc']], does: t('keys.close') },
  ]
}
