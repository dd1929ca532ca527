import { eventJson, iso, workerJson } from '../../src/test/wire'
import { expect, test } from './fixture'

test('has the columns of a worker, and strikes those that ended', async ({ page, mock }) => {
  await page.goto('/ui/workers')
  await expect(page.getByRole('columnheader')).toHaveText(['Worker ID', 'Pool', 'Status', 'CPU (%)', 'RAM (MB)', 'Assigned tasks', 'Runs now', 'Last heartbeat', 'Completed', 'Failed', 'Actions'])
  await expect(page.getByTestId('worker-2').getByRole('cell').nth(2)).toHaveText('35 %')
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
  await page.getByRole('button', { name: 'Failures' }).click()
  await expect(page).toHaveURL('/ui/events?kind=failures')
  await expect(first).toContainText('worker-7 of pool default was lost: exit status 137')
  await first.getByRole('link', { name: 'worker-7' }).click()
  await expect(page).toHaveURL('/ui/workers/worker-7')
  await page.getByRole('region', { name: 'Its events' }).getByRole('link', { name: 'All events' }).click()
  await expect(page).toHaveURL('/ui/events?worker=worker-7')
  await expect(page.getByLabel('Worker ID')).toHaveValue('worker-7')
})

test('drains and kills a worker after asking once', async ({ page, mock }) => {
  await page.goto('/ui/workers')
  await page.getByRole('button', { name: 'Drain worker-3' }).click()
  const drain = page.getByRole('dialog', { name: 'Drain worker-3?' })
  await expect(drain).toContainText('finishes 4 running tasks')
  await drain.getByRole('button', { name: 'Drain' }).click()
  await expect(page.getByText('worker-3 drains.')).toBeVisible()
  await page.getByRole('link', { name: 'worker-5' }).first().click()
  await expect(page).toHaveURL('/ui/workers/worker-5')
  await page.getByRole('button', { name: 'Kill worker-5' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Kill' }).click()
  await expect(page.getByText('worker-5 is being killed.')).toBeVisible()
  expect(mock.requests.filter(({ method }) => method === 'POST').map(({ path }) => path)).toEqual(['/workers/worker-3/drain', '/workers/worker-5/kill'])
})

test('changes the size of a pool, checking it first, and pauses one', async ({ page, mock }) => {
  await page.goto('/ui/workers')
  const pool = page.getByTestId('pool-default')
  await expect(pool).toContainText('6 running, 6 desired, 1–6')
  await pool.getByRole('button', { name: 'Change size' }).click()
  const dialog = page.getByRole('dialog', { name: 'Size of pool default' })
  await dialog.getByLabel('Minimum').fill('9')
  await expect(dialog.getByRole('button', { name: 'Save' })).toBeDisabled()
  await dialog.getByLabel('Maximum').fill('12')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Pool default is now 9–12.')).toBeVisible()
  await pool.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('dialog', { name: 'Pause pool default?' }).getByRole('button', { name: 'Pause' }).click()
  await expect(page.getByText('Pool default paused.')).toBeVisible()
  await page.getByTestId('pool-gpu').getByRole('button', { name: 'Resume' }).click()
  await expect(page.getByText('Pool gpu resumed.')).toBeVisible()
  expect(mock.requests.filter(({ method }) => method === 'PATCH').map(({ path, body }) => [path, body])).toEqual([
    ['/pools/default', { min: 9, max: 12 }],
    ['/pools/default', { paused: true }],
    ['/pools/gpu', { paused: false }],
  ])
})
