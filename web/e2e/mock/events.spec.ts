import { eventJson, iso } from '../../src/test/wire'
import { expect, test } from './fixture'

const row = (index: number) => `[role=row][aria-rowindex="${index + 2}"]`

test('a hundred thousand events scroll to the last one, read as they are wanted', async ({ page, mock }) => {
  const now = Date.now()
  mock.world.events = Array.from({ length: 100_000 }, (_, i) => eventJson({ seq: `${200_000 - i}.0`, timestamp: iso(now - i * 100), event: 'task.completed', taskId: `task-${100_000 - i}`, data: { executionTimeMs: 7 } }))
  await page.goto('/ui/events')
  await expect(page.locator(row(0))).toContainText('task-100000 completed in 7 ms')
  const pages = () => mock.requests.filter(({ path }) => path === '/events').length
  expect(pages()).toBeLessThan(5)
  await expect
    .poll(
      async () => {
        await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight))
        // The last page may come after the scrolling: its end is only in the page once that was scrolled to.
        return page.locator(row(99_999)).getByText('task-1 completed').isVisible()
      },
      { timeout: 200_000, intervals: [50] },
    )
    .toBe(true)
  await expect(page.getByText('That is all that is kept.')).toBeVisible()
  expect(await page.getByRole('table', { name: 'Events' }).getByRole('row').count()).toBeLessThan(120)
  await page.evaluate(() => window.scrollTo(0, 28 * 50_000))
  await expect(page.locator(row(50_000))).toContainText('task-50000 completed')
})

test('jumps to a time, steps from there, and comes back to now', async ({ page, mock }) => {
  const now = Date.now()
  mock.world.events = Array.from({ length: 300 }, (_, i) => eventJson({ seq: `${900 - i}.0`, timestamp: iso(now - i * 60_000), event: 'queue.paused', taskId: null, data: { queue: `q${i}` } }))
  await page.goto('/ui/events')
  await expect(page.locator(row(0))).toContainText('queue q0 paused')
  await page.getByRole('button', { name: '−1 h' }).click()
  await expect(page).toHaveURL(/until=/)
  await expect(page.locator(row(0))).toContainText(/queue q6[01] paused/)
  await page.getByRole('button', { name: '+10 min' }).click()
  await expect(page.locator(row(0))).toContainText(/queue q5[01] paused/)
  await page.getByRole('button', { name: 'Now', exact: true }).click()
  await expect(page.locator(row(0))).toContainText('queue q0 paused')
  await expect(page).toHaveURL('/ui/events')
})

test('chips add up, and a worker narrows them', async ({ page }) => {
  await page.goto('/ui/events')
  await page.getByRole('button', { name: 'Queues' }).click()
  await page.getByRole('button', { name: 'Operators' }).click()
  await expect(page).toHaveURL('/ui/events?kind=queue,audit')
  await expect(page.locator(row(0))).toContainText('queue render paused')
  await expect(page.locator(row(1))).toContainText('ana: ')
  await page.getByRole('button', { name: 'All' }).click()
  await page.getByLabel('Worker ID').fill('worker-2')
  await expect(page).toHaveURL('/ui/events?worker=worker-2')
  await expect(page.locator(row(0))).toContainText('task-12380 failed: connection refused; retrying (1/3)')
})

test('reads what was missed while the page stood still', async ({ page, mock }) => {
  await page.goto('/ui/events?follow=1')
  await expect(page.locator(row(0))).toContainText('task-12388 assigned to worker-3')
  await page.keyboard.press('p')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'paused')
  const added = Array.from({ length: 1500 }, (_, i) => eventJson({ seq: `${2000 + i}.0`, timestamp: iso(Date.now()), event: 'queue.resumed', taskId: null, data: { queue: `q${i}` } }))
  mock.push({ events: added })
  await page.getByRole('button', { name: 'Resume', exact: true }).click()
  await expect(page.locator(row(0))).toContainText('queue q1499 resumed')
  await page.evaluate(() => window.scrollTo(0, 28 * 1499))
  await expect(page.locator(row(1499))).toContainText('queue q0 resumed')
  await expect(page.locator(row(1500))).toContainText('task-12388 assigned to worker-3')
})
