import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect, type RouterHistory } from '@tanstack/react-router'
import { Shell } from '@/app/Shell'
import { Broken, NotFound } from '@/app/NotFound'
import { OverviewPage } from '@/features/overview/OverviewPage'
import { EventsSearch, OverviewSearch, SubmitSearch, TasksSearch, WindowSearch, parseSearch, stringifySearch } from './search'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Broken })

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the router's way to redirect
    throw redirect({ to: '/ui', replace: true })
  },
})
const overview = createRoute({ getParentRoute: () => root, path: '/ui', validateSearch: OverviewSearch, component: OverviewPage })
// Each of the other pages is a file of its own, read when a link to it is pointed at.
const tasks = createRoute({ getParentRoute: () => root, path: '/ui/tasks', validateSearch: TasksSearch, component: lazyRouteComponent(() => import('./TasksRoute'), 'TasksRoute') })
const task = createRoute({ getParentRoute: () => root, path: '/ui/tasks/$id', component: lazyRouteComponent(() => import('@/features/task/TaskPage'), 'TaskPage') })
const submit = createRoute({ getParentRoute: () => root, path: '/ui/submit', validateSearch: SubmitSearch, component: lazyRouteComponent(() => import('@/features/submit/SubmitPage'), 'SubmitPage') })
const workers = createRoute({ getParentRoute: () => root, path: '/ui/workers', component: lazyRouteComponent(() => import('@/features/workers/WorkersPage'), 'WorkersPage') })
const worker = createRoute({ getParentRoute: () => root, path: '/ui/workers/$id', validateSearch: WindowSearch, component: lazyRouteComponent(() => import('@/features/workers/WorkerPage'), 'WorkerPage') })
const queues = createRoute({ getParentRoute: () => root, path: '/ui/queues', component: lazyRouteComponent(() => import('@/features/queues/QueuesPage'), 'QueuesPage') })
const events = createRoute({ getParentRoute: () => root, path: '/ui/events', validateSearch: EventsSearch, component: lazyRouteComponent(() => import('@/features/events/EventsPage'), 'EventsPage') })

const routeTree = root.addChildren([home, overview, tasks, task, submit, workers, worker, queues, events])

export const makeRouter = (history?: RouterHistory) =>
  createRouter({ routeTree, parseSearch, stringifySearch, scrollRestoration: true, defaultPreload: 'intent', ...(history && { history }) })

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}
