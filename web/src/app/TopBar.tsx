import { useSyncExternalStore } from 'react'
import { Link } from '@tanstack/react-router'
import { Icon, type IconName } from '@/components/Icon'
import { StateBadge } from '@/components/StateBadge'
import { useAction } from '@/components/useAction'
import { useRole, useWho } from '@/data/access'
import { liveStore, useConnection, useLive, usePaused, useSignedIn } from '@/data/live/hooks'
import { signOut } from '@/data/sign-in'
import { phaseStates, systemStates } from '@/domain/states'
import { languagePreference, useI18n } from '@/i18n/context'
import { themePreference, themes, type Theme } from '@/lib/theme'
import { openOverlay } from './palette/Shortcuts'

const themeIcons: Record<Theme, IconName> = { system: 'auto', light: 'sun', dark: 'moon' }

export function TopBar() {
  const { t } = useI18n()
  const status = useLive((data) => data.stats.systemStatus)
  const { phase } = useConnection()
  const paused = usePaused()
  return (
    <header className="top" data-phase={paused && phase === 'live' ? 'paused' : phase}>
      <Link to="/ui" className="brand" aria-label={t('app.name')}>
        <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 27 23 9" stroke="currentColor" strokeWidth="3.2" strokeLinecap="round" />
          <circle cx="25" cy="7" r="4" fill="currentColor" />
        </svg>
        <span className="brand-name">{t('app.name')}</span>
      </Link>
      {status && (
        <Link to="/ui" className="top-status" data-testid="system-status">
          <StateBadge state={systemStates[status]} strong />
        </Link>
      )}
      <span className="top-space" />
      <button type="button" className="button find" aria-label={t('top.find')} title={t('top.find')} aria-keyshortcuts="Control+K Meta+K" onClick={() => openOverlay('palette')}>
        <Icon name="search" />
        <span className="find-word">{t('top.findShort')}</span>
        <kbd>{navigator.userAgent.includes('Mac') ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <LiveIndicator />
      <Preferences />
    </header>
  )
}

/** Live, paused, stale or disconnected, with the time of the last update. */
function LiveIndicator() {
  const i18n = useI18n()
  const connection = useConnection()
  const paused = usePaused()
  const updatedAt = useLive((data) => data.stats.updatedAt)
  const shown = paused && connection.phase === 'live' ? 'paused' : connection.phase
  return (
    <div className="live" data-phase={shown} data-testid="live">
      <StateBadge state={phaseStates[shown]} />
      {shown === 'live' && <span className="live-rate muted">{i18n.t('live.rate', { rate: Math.round(connection.perSecond * 10) / 10 })}</span>}
      <time className="live-time" title={i18n.t('live.lastUpdate')} aria-label={i18n.t('live.lastUpdate')}>
        {updatedAt === undefined ? '--:--:--' : i18n.clock(updatedAt)}
      </time>
      <button
        type="button"
        className="button button-plain"
        aria-pressed={paused}
        aria-label={i18n.t(paused ? 'live.resume' : 'live.pause')}
        title={i18n.t(paused ? 'live.resume' : 'live.pause')}
        onClick={() => liveStore.pause(!paused)}
      >
        <Icon name={paused ? 'play' : 'pause'} />
      </button>
    </div>
  )
}

function Preferences() {
  const { t, language } = useI18n()
  const theme = useSyncExternalStore(themePreference.subscribe, themePreference.get)
  const signedIn = useSignedIn()
  const who = useWho()
  const role = useRole()
  const leave = useAction({ run: signOut, done: () => t('signin.left') })
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system'
  const label = t('top.theme', { theme: t(`theme.${theme}`) })
  return (
    <div className="preferences">
      <button
        type="button"
        className="button button-plain"
        aria-label={`${t('top.language')}: ${language === 'en' ? 'English' : 'Español'}`}
        onClick={() => languagePreference.set(language === 'en' ? 'es' : 'en')}
      >
        <span className={language === 'es' ? 'lang lang-on' : 'lang'}>ES</span>
        <span className={language === 'en' ? 'lang lang-on' : 'lang'}>EN</span>
      </button>
      <button type="button" className="button button-plain" aria-label={label} title={label} onClick={() => themePreference.set(next)}>
        <Icon name={themeIcons[theme]} size={15} />
      </button>
      {signedIn && who !== null && (
        <span className="who muted" data-testid="who">
          {t('top.signedIn', { name: who, role: t(`role.${role}`) })}
        </span>
      )}
      {signedIn && (
        <button type="button" className="button button-plain" aria-label={t('top.signOut')} title={t('top.signOut')} onClick={() => leave.mutate(undefined)}>
          <Icon name="out" size={15} />
        </button>
      )}
    </div>
  )
}
