import { useNavigate } from '@tanstack/react-router'
import type { IconName } from '@/components/Icon'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { liveStore, usePaused, useSignedIn } from '@/data/live/hooks'
import { signOut } from '@/data/sign-in'
import { sampleTask, submitTask } from '@/data/tasks/actions'
import { languagePreference, useI18n } from '@/i18n/context'
import { themePreference, themes } from '@/lib/theme'
import { openOverlay } from './Shortcuts'

interface Action {
  name: string
  icon: IconName
  run: () => unknown
}

/** What can be done from anywhere: views of tasks, the page's own settings, a sample, sign-out. */
export function useActions(): Action[] {
  const { t, language } = useI18n()
  const navigate = useNavigate()
  const paused = usePaused()
  const signedIn = useSignedIn()
  const maySubmit = useMay('submit')
  const sample = useAction({ run: () => submitTask(sampleTask), done: ({ id }) => t('empty.submitted', { id }) })
  const leave = useAction({ run: signOut, done: () => t('signin.left') })
  return [
    { name: t('palette.pending'), icon: 'dots', run: () => navigate({ to: '/ui/tasks', search: { status: 'pending' } }) },
    { name: t('palette.running'), icon: 'play', run: () => navigate({ to: '/ui/tasks', search: { status: 'inProgress' } }) },
    { name: t('palette.failed'), icon: 'cross', run: () => navigate({ to: '/ui/tasks', search: { status: 'failed' } }) },
    { name: t('palette.failures'), icon: 'warning', run: () => navigate({ to: '/ui/events', search: { kind: 'failures' } }) },
    { name: t(paused ? 'live.resume' : 'live.pause'), icon: paused ? 'play' : 'pause', run: () => liveStore.pause(!paused) },
    { name: t('palette.language'), icon: 'search', run: () => languagePreference.set(language === 'en' ? 'es' : 'en') },
    ...themes.map((theme): Action => ({ name: t('top.theme', { theme: t(`theme.${theme}`) }), icon: theme === 'light' ? 'sun' : theme === 'dark' ? 'moon' : 'auto', run: () => themePreference.set(theme) })),
    ...(maySubmit
      ? ([
          { name: t('tasks.submit'), icon: 'plus', run: () => navigate({ to: '/ui/submit' }) },
          { name: t('empty.submit'), icon: 'play', run: () => sample.mutate(undefined) },
        ] satisfies Action[])
      : []),
    { name: t('keys.title'), icon: 'overview', run: () => openOverlay('help') },
    ...(signedIn ? [{ name: t('top.signOut'), icon: 'out', run: () => leave.mutate(undefined) } satisfies Action] : []),
  ]
}
