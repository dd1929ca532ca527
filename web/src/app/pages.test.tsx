import { act, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { liveStore } from '@/data/live/hooks'
import { sessionStore } from '@/data/session'
import { languagePreference } from '@/i18n/context'
import { renderAt } from '@/test/render'
import { deltaJson, emptyStatsJson, epoch, eventJson, snapshotJson, statsJson, taskJson } from '@/test/wire'

// A canvas, which jsdom does not draw on; the browser tests look at it.
vi.mock('@/components/charts/TimeChart', () => ({ default: () => null }))

type Reply = [status: number, body: unknown]
const replies = new Map<string, Reply>()
const sent: { key: string; body: unknown }[] = []

beforeEach(() => {
  replies.clear()
  sent.length = 0
  languagePreference.set('en')
  vi.stubGlobal('fetch', (input: string, init: RequestInit) => {
    const path = input.split('?')[0] ?? ''
    const key = `${init.method ?? 'GET'} ${path}`
    sent.push({ key, body: typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : null })
    const [status, body] = replies.get(key) ?? [404, { title: 'Not Found', detail: `no reply for ${key}` }]
    return Promise.resolve(new Response(status === 204 ? null : typeof body === 'string' ? body : JSON.stringify(body), { status }))
  })
  replies.set('GET /events', [200, { events: [], nextCursor: null }])
  replies.set('GET /tasks', [200, { tasks: [taskJson()], total: 1, nextCursor: null }])
  replies.set('GET /workers/status', [200, { workers: [], ended: [], updatedAt: '2026-01-01T10:21:02.000Z' }])
  replies.set('GET /stats/series', [200, { from: '2026-01-01T10:06:00.000Z', stepMs: 5000, tasks: {}, types: { hash: 3 }, waiting: {}, queueLatencyMs: null, workers: {}, marks: [] }])
})
afterEach(() => {
  vi.unstubAllGlobals()
  sessionStore.opened()
})

const receive = (message: unknown) => act(() => void liveStore.receive(JSON.stringify(message), Date.now()))

describe('overview', () => {
  it('is what / shows, with its figures as links', async () => {
    receive(snapshotJson({ stats: statsJson({ systemStatus: 'High Load', reason: '4,210 waiting, 48 s at the current rate' }) }))
    const router = renderAt('/')
    expect(await screen.findByText('4,210 waiting, 48 s at the current rate')).toBeVisible()
    expect(router.state.location.pathname).toBe('/ui')
    const figures = screen.getAllByTestId(/^figure-/)
    expect(figures.map((figure) => figure.textContent)).toHaveLength(8)
    expect(screen.getByTestId('figure-pending')).toHaveAttribute('href', '/ui/tasks?status=pending')
    expect(screen.getByTestId('figure-pending')).toHaveTextContent('12')
  })

  it('follows deltas and stands still while paused', async () => {
    receive(snapshotJson())
    renderAt('/ui/')
    await screen.findByTestId('figure-failed')
    receive(deltaJson({ stats: statsJson({ tasks: { ...statsJson().tasks, failed: 4 } }) }))
    expect(screen.getByTestId('figure-failed')).toHaveTextContent('4')
    await userEvent.click(screen.getByRole('button', { name: 'Pause updates' }))
    expect(screen.getByTestId('live')).toHaveTextContent('Paused')
    receive(deltaJson({ stats: statsJson({ tasks: { ...statsJson().tasks, failed: 9 } }) }))
    expect(screen.getByTestId('figure-failed')).toHaveTextContent('4')
    await userEvent.click(screen.getByRole('button', { name: 'Resume updates' }))
    expect(screen.getByTestId('figure-failed')).toHaveTextContent('9')
  })

  it('teaches while empty, and submits a sample', async () => {
    receive(snapshotJson({ stats: emptyStatsJson(), tasks: [], events: [] }))
    replies.set('POST /tasks', [202, { id: 'task-001', status: 'pending' }])
    renderAt('/ui/')
    expect(await screen.findByText(/curl -X POST http:\/\/localhost:3000\/tasks/)).toBeVisible()
    await userEvent.click(screen.getByRole('button', { name: 'Submit a sample task' }))
    expect(await screen.findByText('Sample task-001 submitted.')).toBeVisible()
    expect(sent).toContainEqual({ key: 'POST /tasks', body: { type: 'sleep', payload: { ms: 3000 } } })
  })

  it('speaks Spanish', async () => {
    receive(snapshotJson())
    renderAt('/ui/')
    await userEvent.click(await screen.findByRole('button', { name: /Language/ }))
    expect(screen.getByRole('link', { name: 'Tareas' })).toBeVisible()
    expect(screen.getByTestId('figure-workers')).toHaveTextContent('Workers activos5+1 libre')
  })
})

describe('connection', () => {
  it('says that it is lost, and what was missed when it is back', async () => {
    receive(snapshotJson())
    renderAt('/ui/workers')
    await screen.findByText('worker-1')
    act(() => liveStore.lost(Date.now() - 12_000, Date.now() + 4000, null))
    expect(screen.getByTestId('live')).toHaveTextContent('Disconnected')
    expect(screen.getByRole('alert')).toHaveTextContent('No connection to the server. Figures are of')
    receive(deltaJson({ events: [eventJson({ seq: '8.0' })] }))
    expect(screen.getByText(/Back after 12 s. 1 event caught up./)).toBeVisible()
  })

  it('says that it is stale', async () => {
    receive(snapshotJson())
    renderAt('/ui/workers')
    await screen.findByText('worker-1')
    act(() => liveStore.silent())
    expect(screen.getByTestId('live')).toHaveTextContent('Stale')
  })
})

describe('sign-in', () => {
  it('takes the place of the page after a 401, and gives way to it after', async () => {
    receive(snapshotJson())
    replies.set('GET /tasks/task-104', [401, { title: 'Unauthorized' }])
    renderAt('/ui/tasks/task-104')
    expect(await screen.findByRole('heading', { name: 'Sign in' })).toBeVisible()
    replies.set('POST /session', [401, { title: 'Unauthorized' }])
    await userEvent.type(screen.getByLabelText('Token'), 'wrong')
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByText('The server does not accept this token.')).toBeVisible()
    replies.set('POST /session', [200, { name: 'ana', role: 'operator' }])
    replies.set('GET /tasks/task-104', [404, { title: 'Not Found' }])
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await waitFor(() => expect(screen.queryByRole('heading', { name: 'Sign in' })).not.toBeInTheDocument())
    expect(sent).toContainEqual({ key: 'POST /session', body: { token: 'wrong' } })
  })
})

describe('task page', () => {
  const failed = taskJson({ status: 'failed', error: { message: 'boom', code: 'handler', attempt: 1, at: '2026-01-01T10:21:03.000Z' } })
  const text = `{"payload":{"big":12345678901234567890},"result":null,${JSON.stringify({ ...failed, history: [eventJson()], historyTruncated: false }).slice(1)}`

  beforeEach(() => {
    replies.set('GET /tasks/task-104', [200, text])
    replies.set('GET /tasks/task-104/logs', [200, { logs: [{ at: '2026-01-01T10:21:02.000Z', level: 'info', message: 'hello', attempt: 1 }], nextCursor: null }])
    receive(snapshotJson({ at: new Date(epoch).toISOString() }))
  })

  it('shows payload digits as submitted, error, logs and history', async () => {
    renderAt('/ui/tasks/task-104')
    expect(await screen.findByLabelText('Payload', { selector: 'pre' })).toHaveTextContent('12345678901234567890')
    expect(screen.getAllByText('boom')[0]).toBeVisible()
    expect(await screen.findByText('hello')).toBeVisible()
    expect(within(screen.getByRole('table', { name: 'History' })).getByText('Task submitted')).toBeVisible()
  })

  it('offers retry and delete for an ended task, and asks before it deletes', async () => {
    replies.set('DELETE /tasks/task-104', [204, null])
    const router = renderAt('/ui/tasks/task-104')
    expect(await screen.findByRole('button', { name: 'Retry' })).toBeEnabled()
    expect(screen.queryByRole('button', { name: 'Cancel' })).not.toBeInTheDocument()
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }))
    const dialog = screen.getByRole('dialog', { name: 'Delete task-104?' })
    expect(sent.map(({ key }) => key)).not.toContain('DELETE /tasks/task-104')
    await userEvent.click(within(dialog).getByRole('button', { name: 'Delete' }))
    await waitFor(() => expect(router.state.location.pathname).toBe('/ui/tasks'))
  })

  it('reports a refusal in the words of the server', async () => {
    replies.set('POST /tasks/task-104/retry', [409, { title: 'Conflict', detail: 'the payload is gone' }])
    renderAt('/ui/tasks/task-104')
    await userEvent.click(await screen.findByRole('button', { name: 'Retry' }))
    expect(await screen.findByText('the payload is gone')).toBeVisible()
  })

  it('says that there is no such task', async () => {
    renderAt('/ui/tasks/nobody')
    expect(await screen.findByText('There is no task nobody.')).toBeVisible()
  })
})

it('says that there is no such page', async () => {
  renderAt('/ui/nowhere')
  expect(await screen.findByText('This page does not exist.')).toBeVisible()
})
