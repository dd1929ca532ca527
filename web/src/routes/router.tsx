import { createRootRoute, createRoute, createRouter, redirect, type RouterHistory } from '@tanstack/react-router'
import { Shell } from '@/app/Shell'
import { Broken, NotFound } from '@/app/NotFound'
import { EventsPage } from '@/features/events/EventsPage'
import { OverviewPage } from '@/features/overview/OverviewPage'
import { QueuesPage } from '@/features/queues/QueuesPage'
import { TaskPage } from '@/features/task/TaskPage'
import { TasksPage } from '@/features/tasks/TasksPage'
import { WorkersPage } from '@/features/workers/WorkersPage'
import { EventsSearch, OverviewSearch, TasksSearch, parseSearch, stringifySearch } from './search'

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
const tasks = createRoute({ getParentRoute: () => root, path: '/ui/tasks', validateSearch: TasksSearch, component: TasksPage })
const task = createRoute({ getParentRoute: () => root, path: '/ui/tasks/$id', component: TaskPage })
const workers = createRoute({ getParentRoute: () => root, path: '/ui/workers', component: WorkersPage })
const queues = createRoute({ getParentRoute: () => root, path: '/ui/queues', component: QueuesPage })
const events = createRoute({ getParentRoute: () => root, path: '/ui/events', validateSearch: EventsSearch, component: EventsPage })

const routeTree = root.addChildren([home, overview, tasks, task, workers, queues, events])

export const makeRouter = (history?: RouterHistory) =>
  createRouter({ routeTree, parseSearch, stringifySearch, scrollRestoration: true, ...(history && { history }) })

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}
