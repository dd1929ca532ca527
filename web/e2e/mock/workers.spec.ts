import { eventJson, iso, workerJson } from '../../src/test/wire'
import { expect, test } from './fixture'

test('has the columns of a worker, and strikes those that ended', async ({ page, mock }) => {
  await page.goto('/ui/workers')
  await expect(page.getByRole('columnheader')).toHaveText(['Worker ID', 'Status', 'CPU (%)', 'RAM (MB)', 'Assigned tasks', 'Last heartbeat', 'Pool', 'Slots'])
  await expect(page.getByTestId('worker-2').getByRole('cell').nth(1)).toHaveText('35 %')
  await expect(page.getByTestId('worker-7')).toContainText('exit status 137')
  await expect(page.getByTestId('worker-7').locator('s').first()).toHaveText('worker-7')
  mock.push({
    workers: { upserted: [workerJson({ id: 'worker-8', status: 'starting', assignedTasks: 0 })], removed: ['worker-2'] },
    events: [eventJson({ seq: '1500.0', event: 'worker.lost', taskId: null, workerId: 'worker-2', pool: 'default', timestamp: iso(Date.now()), data: { reason: 'killed' } })],
  })
  await expect(page.getByTestId('worker-8')).toContainText('Starting')
  await expect(page.getByTestId('worker-2')).toContainText('Ended')
  await expect(page.getByTestId('worker-2')).toContainText('killed')
  await expect(page.getByText('6 running, 6 desired, 1–6')).toBeVisible()
})

test('a heartbeat that stays away turns late', async ({ page, mock }) => {
  mock.world.workers = [workerJson({ lastHeartbeatAgoMs: 4200 })]
  await page.goto('/ui/workers')
  await expect(page.getByTestId('worker-1').locator('.late')).toHaveText(/[4-9] s ago/)
})

test('queues show lanes, limits and who serves them, and can be paused', async ({ page, mock }) => {
  await page.goto('/ui/queues')
  const mail = page.getByRole('region', { name: 'mail' })
  await expect(mail).toContainText('No pool serves this queue: its tasks wait.')
  await expect(page.getByRole('region', { name: 'reports' })).toContainText('4 at once')
  await mail.getByRole('button', { name: 'Pause' }).click()
  const dialog = page.getByRole('dialog', { name: 'Pause queue mail?' })
  await expect(dialog).toContainText('4 waiting tasks stay where they are')
  await dialog.getByRole('button', { name: 'Pause' }).click()
  await expect(page.getByText('Queue mail paused.')).toBeVisible()
  expect(mock.requests.some(({ method, path }) => method === 'POST' && path === '/queues/mail/pause')).toBe(true)
})

test('events can be narrowed, and new ones wait until asked for', async ({ page, mock }) => {
  await page.goto('/ui/events')
  const first = page.locator('[role=row][aria-rowindex="2"]')
  await expect(first).toContainText('task-12388 assigned to worker-3')
  mock.push({ events: [eventJson({ seq: '1600.0', event: 'queue.resumed', taskId: null, timestamp: iso(Date.now()), data: { queue: 'render' } })] })
  await page.getByRole('button', { name: '1 new: show' }).click()
  await expect(first).toContainText('queue render resumed')
  await page.getByRole('link', { name: 'Failures' }).click()
  await expect(page).toHaveURL('/ui/events?kind=failures')
  await expect(first).toContainText('worker-7 of pool default was lost: exit status 137')
  await first.getByRole('link', { name: 'worker-7' }).click()
  await expect(page).toHaveURL('/ui/events?worker=worker-7')
  await expect(page.getByText('Only worker-7')).toBeVisible()
})
