import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { liveSocket } from './data/live/hooks'
import { queryClient, refreshOnReturn } from './data/query-client'
import { sessionStore } from './data/session'
import { learnSession } from './data/sign-in'
import { languagePreference } from './i18n/context'
import { applyTheme, themePreference } from './lib/theme'
import { makeRouter } from './routes/router'
import './styles/tokens.css'
import './styles/base.css'
import './styles/shell.css'
import './styles/tables.css'
import './styles/charts.css'
import './styles/pages.css'
import './styles/events.css'
import './styles/workers.css'
import './styles/palette.css'

applyTheme()
themePreference.subscribe(applyTheme)
const applyLanguage = () => (document.documentElement.lang = languagePreference.get())
applyLanguage()
languagePreference.subscribe(applyLanguage)

refreshOnReturn()
sessionStore.subscribe(() => {
  if (!sessionStore.isRequired()) liveSocket.now()
})
liveSocket.start()
learnSession().catch(() => undefined) // Told again by whatever is refused.

const element = document.getElementById('root')
if (element) {
  createRoot(element).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={makeRouter()} />
      </QueryClientProvider>
    </StrictMode>,
  )
}
