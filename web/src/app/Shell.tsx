import { Link, Outlet } from '@tanstack/react-router'
import { Icon } from '@/components/Icon'
import { Notices } from '@/components/notices'
import { useSignInRequired } from '@/data/live/hooks'
import { useI18n } from '@/i18n/context'
import { ConnectionBanner } from './ConnectionBanner'
import { pages } from './palette/commands'
import { Shortcuts } from './palette/Shortcuts'
import { SignIn } from './SignIn'
import { TopBar } from './TopBar'

/** What surrounds every page: top bar, page links, what the connection has to say. */
export function Shell() {
  const { t } = useI18n()
  const signIn = useSignInRequired()
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t('app.skip')}
      </a>
      <TopBar />
      <nav className="nav" aria-label={t('nav.label')}>
        {pages.map(({ to, label, icon }) => (
          <Link key={to} to={to} className="nav-link" activeOptions={{ exact: to === '/ui', includeSearch: false }}>
            <Icon name={icon} size={16} />
            <span>{t(label)}</span>
          </Link>
        ))}
      </nav>
      <main id="main" className="main" tabIndex={-1}>
        {signIn ? (
          <SignIn />
        ) : (
          <>
            <ConnectionBanner />
            <Outlet />
          </>
        )}
      </main>
      <Notices />
      <Shortcuts />
    </div>
  )
}
