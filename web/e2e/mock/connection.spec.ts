import { eventJson, iso } from '../../src/test/wire'
import { expect, test } from './fixture'

test('loses the server, says so, and catches up by itself', async ({ page, mock }) => {
  await page.goto('/ui/')
  const live = page.getByTestId('live')
  await expect(live).toHaveAttribute('data-phase', 'live')
  const port = Number(new URL(mock.url).port)
  await mock.stop()
  await expect(live).toHaveAttribute('data-phase', 'disconnected')
  await expect(page.getByRole('alert')).toContainText('No connection to the server. Figures are of')
  await expect(page.getByTestId('figure-pending')).toContainText('12')
  mock.world.events.unshift(eventJson({ seq: '1300.0', timestamp: iso(Date.now()), event: 'queue.resumed', taskId: null, data: { queue: 'render' } }))
  await mock.start(port)
  await expect(live).toHaveAttribute('data-phase', 'live')
  await expect(page.getByText(/Back after \d+ s\. 1 event caught up\./)).toBeVisible()
  await expect(page.getByRole('table', { name: 'Latest events' })).toContainText('queue render resumed')
  expect(mock.resumes[0]).toBeNull()
  expect(mock.resumes.at(-1)).not.toBeNull()
})

test('goes stale when the server falls silent', async ({ page, mock }) => {
  await page.goto('/ui/')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  mock.silence()
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'stale')
  await expect(page.getByRole('alert')).toContainText('nothing has come from the server')
  mock.push({ stats: mock.world.stats })
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
})

test('stands still while paused', async ({ page, mock }) => {
  await page.goto('/ui/')
  await expect(page.getByTestId('figure-failed')).toContainText('3')
  await page.getByRole('button', { name: 'Pause updates' }).click()
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'paused')
  const { stats } = mock.world
  mock.push({ stats: { ...stats, tasks: { ...stats.tasks, failed: 5 } } })
  await expect(page.getByTestId('figure-failed')).toContainText('3')
  await page.getByRole('button', { name: 'Resume updates' }).click()
  await expect(page.getByTestId('figure-failed')).toContainText('5')
})

test('begins again from a snapshot after a message it cannot read', async ({ page, mock }) => {
  await page.goto('/ui/')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  mock.pushText('{"type":"delta","seq":"x"')
  await expect.poll(() => mock.resumes.length).toBe(2)
  expect(mock.resumes).toEqual([null, null])
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
})

test('asks for a token, keeps it as a cookie, and signs out', async ({ page, mock }) => {
  mock.token = 'secret'
  await page.goto('/ui/')
  await page.getByLabel('Token').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByText('The server does not accept this token.')).toBeVisible()
  await page.getByLabel('Token').fill('secret')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByTestId('figure-pending')).toContainText('12')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  await page.reload()
  await expect(page.getByTestId('figure-pending')).toContainText('12')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
})
