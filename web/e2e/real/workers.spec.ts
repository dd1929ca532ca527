import AxeBuilder from '@axe-core/playwright'
import { expect, test } from './system'

test.use({ settings: { BATUTA_POOL_MIN: '2', BATUTA_POOL_MAX: '3', BATUTA_WORKER_CONCURRENCY: '2', BATUTA_DRAIN: '1s' } })

test('workers show what they run; one is killed, its task runs elsewhere, and it stays listed', async ({ page, system }) => {
  const id = await system.submit('{"type":"sleep","payload":{"ms":600000}}')
  await page.goto('/ui/workers')
  const row = page.locator('tr', { has: page.getByRole('link', { name: id, exact: true }) })
  await expect(row).toContainText('1 of 2')
  const killed = (await row.getByRole('rowheader').textContent()) ?? ''
  await row.getByRole('link', { name: killed, exact: true }).click()
  await expect(page.getByRole('region', { name: 'Runs now' })).toContainText(id)
  await expect(page.getByTestId('chart-memory').locator('canvas')).toBeVisible()
  await page.getByRole('button', { name: `Kill ${killed}` }).click()
  await page.getByRole('dialog', { name: `Kill ${killed}?` }).getByRole('button', { name: 'Kill' }).click()
  await expect(page.getByText(`${killed} is being killed.`)).toBeVisible()
  await page.getByRole('link', { name: 'All workers' }).click()
  await expect(page.getByTestId(killed)).toContainText('Ended')
  await expect(page.getByTestId(killed)).toContainText('killed by an operator')
  await expect(page.getByTestId(killed).locator('s').first()).toHaveText(killed)
  await expect(row).not.toContainText(killed)
  await page.goto(`/ui/events?worker=${killed}`)
  await expect(page.getByRole('table', { name: 'Events' })).toContainText(`${killed} of pool default was lost: killed by an operator`)
  await page.getByRole('button', { name: /Language/ }).click()
  await expect(page.getByRole('table', { name: 'Eventos' })).toContainText(`se perdió ${killed} del pool default: matado por un operador`)
})

test('a worker drains, and a pool changes its size and pauses', async ({ page, system }) => {
  await page.goto('/ui/workers')
  await expect(page.getByTestId('worker-1')).toBeVisible()
  await page.getByRole('button', { name: 'Drain worker-1' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click()
  await expect(page.getByTestId('worker-1')).toContainText('Ended')
  const pool = page.getByTestId('pool-default')
  await pool.getByRole('button', { name: 'Change size' }).click()
  const dialog = page.getByRole('dialog', { name: 'Size of pool default' })
  await dialog.getByLabel('Minimum').fill('3')
  await dialog.getByLabel('Maximum').fill('4')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(pool).toContainText('3 running, 3 desired, 3–4')
  await expect(pool).toContainText('the minimum is 3')
  await pool.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
  await expect(pool.getByText('Paused')).toBeVisible()
  const id = await system.submit('{"type":"sleep","payload":{"ms":1}}')
  await page.goto('/ui/')
  await expect(page.getByTestId('figure-pending')).toContainText('1')
  await page.goto('/ui/workers')
  await pool.getByRole('button', { name: 'Resume' }).click()
  await expect(pool.getByText('Paused')).toBeHidden()
  await page.goto(`/ui/tasks/${id}`)
  await expect(page.locator('.task-head .state')).toHaveText('Completed')
})

test('all sections are live in both languages and themes, fit a phone, and axe finds nothing serious', async ({ page, system }) => {
  for (let i = 0; i < 20; i++) await system.submit(`{"type":"sleep","payload":{"ms":${50 * i},"failTimes":${i % 7 === 0 ? 9 : 0}},"maxRetries":0}`)
  const paths = ['/ui/', '/ui/workers', '/ui/workers/worker-1', '/ui/events', '/ui/queues', '/ui/tasks']
  for (const [scheme, width] of [['light', 1280], ['dark', 390]] as const) {
    await page.emulateMedia({ colorScheme: scheme })
    await page.setViewportSize({ width, height: 844 })
    for (const path of paths) {
      await page.goto(path)
      await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
      await expect(page.locator('main h1')).toHaveCount(1)
      await page.waitForLoadState('networkidle')
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width)
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => [path, id, nodes.map(({ html }) => html)])).toEqual([])
    }
    await page.goto('/ui/')
    await page.locator('.preferences button').first().click()
  }
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
})

test('the first load is under 250 kB of JavaScript over the wire, compressed and kept for long', async ({ page, system }) => {
  await system.submit('{"type":"sleep","payload":{"ms":1}}')
  const client = await page.context().newCDPSession(page)
  await client.send('Network.enable')
  const scripts = new Map<string, { encoding: string; cache: string }>()
  let bytes = 0
  client.on('Network.responseReceived', ({ requestId, response }) => {
    if (!response.url.endsWith('.js')) return
    const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value]))
    scripts.set(requestId, { encoding: headers['content-encoding'] ?? '', cache: headers['cache-control'] ?? '' })
  })
  client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (scripts.has(requestId)) bytes += encodedDataLength
  })
  await page.goto('/ui/')
  for (const name of ['perMinute', 'depth', 'latency', 'cpu', 'memory']) await expect(page.getByTestId(`chart-${name}`).locator('canvas')).toBeVisible()
  await page.waitForLoadState('networkidle')
  expect(scripts.size).toBeGreaterThan(2)
  for (const { encoding, cache } of scripts.values()) {
    expect(['br', 'gzip']).toContain(encoding)
    expect(cache).toContain('immutable')
  }
  expect(bytes).toBeGreaterThan(50_000)
  expect(bytes).toBeLessThan(250_000)
})

test('the overview finds the server again after a restart and says what it missed', async ({ page, system }) => {
  await system.submit('{"type":"sleep","payload":{"ms":1}}')
  await page.goto('/ui/')
  await expect(page.getByTestId('figure-total')).toContainText('1 completed')
  await system.stop()
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'disconnected')
  await expect(page.getByRole('alert')).toContainText('No connection to the server. Figures are of')
  await system.start()
  await system.submit('{"type":"sleep","payload":{"ms":1}}')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  await expect(page.getByText(/Back after .+ events? (caught up|were missed)/)).toBeVisible()
  await expect(page.getByTestId('figure-total')).toContainText('2 completed')
})
