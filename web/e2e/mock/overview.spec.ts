import AxeBuilder from '@axe-core/playwright'
import { emptyStatsJson, eventJson, iso, statsJson } from '../../src/test/wire'
import { expect, test } from './fixture'

test.describe('a busy system', () => {
  test('shows figures, charts and events, and every figure is a door', async ({ page, mock }) => {
    const problems: string[] = []
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto('/')
    await expect(page).toHaveURL(/\/ui\/?$/)
    await expect(page.getByTestId('figure-pending')).toContainText('12')
    await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
    for (const name of ['perMinute', 'depth', 'latency', 'cpu', 'memory']) await expect(page.getByTestId(`chart-${name}`).locator('canvas')).toBeVisible()
    await expect(page.getByRole('img', { name: 'Types' })).toBeVisible()
    await expect(page.getByRole('table', { name: 'Latest events' }).getByRole('row').first()).toContainText('task-12388 assigned to worker-3')
    await page.getByTestId('figure-failed').click()
    await expect(page).toHaveURL(/\/ui\/tasks\?status=failed$/)
    await expect(page.getByTestId('task-task-104')).toBeVisible()
    expect(problems).toEqual([])
    expect(mock.requests.filter((request) => request.method !== 'GET')).toEqual([])
  })

  test('updates in place and says why it is not stable', async ({ page, mock }) => {
    await page.goto('/ui/')
    await expect(page.getByTestId('figure-failed')).toContainText('3')
    const stats = { ...mock.world.stats, systemStatus: 'Recovering', reason: 'worker-7 was lost; 2 tasks are not running again yet', updatedAt: iso(Date.now()) } as const
    mock.push({ stats: { ...stats, tasks: { ...stats.tasks, failed: 4 } } })
    await expect(page.getByTestId('figure-failed')).toContainText('4')
    await expect(page.getByTestId('system-status')).toContainText('Recovering')
    await expect(page.getByText('worker-7 was lost; 2 tasks are not running again yet')).toBeVisible()
  })

  test('a click into the chart opens that minute of the events', async ({ page }) => {
    await page.goto('/ui/?window=1h')
    const plot = page.getByTestId('chart-perMinute').locator('.u-over')
    await plot.click({ position: { x: 200, y: 60 } })
    await expect(page).toHaveURL(/\/ui\/events\?since=.+&until=.+/)
  })
})

test.describe('an empty system', () => {
  test.use({ world: 'empty' })

  test('teaches and submits a sample, which then shows', async ({ page, mock }) => {
    await page.goto('/ui/')
    await expect(page.getByText(`curl -X POST ${mock.url}/tasks`)).toBeVisible()
    await expect(page.getByText('batuta.submit.sleep')).toBeVisible()
    await page.getByRole('button', { name: 'Submit a sample task' }).click()
    await expect(page.getByText('Sample task-900 submitted.')).toBeVisible()
    expect(mock.requests.find((request) => request.method === 'POST')).toMatchObject({ path: '/tasks', body: { type: 'sleep' } })
    mock.push({ stats: emptyStatsJson({ tasks: { ...emptyStatsJson().tasks, pending: 1, total: 1 } }), events: [eventJson({ seq: '5.0', taskId: 'task-900', timestamp: iso(Date.now()) })] })
    await expect(page.getByText('No tasks yet')).toBeHidden()
    await expect(page.getByTestId('figure-pending')).toContainText('1')
  })
})

test('speaks Spanish to Spanish browsers, and remembers another choice', async ({ browser, mock }) => {
  const page = await (await browser.newContext({ locale: 'es-MX', baseURL: mock.url })).newPage()
  await page.goto('/ui/')
  await expect(page.getByTestId('figure-pending')).toContainText('Pendientes')
  await expect(page.locator('html')).toHaveAttribute('lang', 'es')
  await expect(page.getByText('task-12388 asignada a worker-3').first()).toBeVisible()
  await page.getByRole('button', { name: /Idioma/ }).click()
  await expect(page.getByTestId('figure-pending')).toContainText('Pending')
  await page.reload()
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
  await page.context().close()
})

test('is light or dark as the system is, unless chosen otherwise', async ({ page }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.goto('/ui/')
  expect(await ground()).toBe('rgb(18, 20, 23)')
  await page.emulateMedia({ colorScheme: 'light' })
  expect(await ground()).toBe('rgb(247, 247, 245)')
  await page.getByRole('button', { name: 'Theme: as the system' }).click()
  await page.getByRole('button', { name: 'Theme: light' }).click()
  expect(await ground()).toBe('rgb(18, 20, 23)')
  await page.reload()
  expect(await ground()).toBe('rgb(18, 20, 23)')
})

for (const path of ['/ui/', '/ui/tasks', '/ui/tasks/task-104', '/ui/workers', '/ui/queues', '/ui/events']) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing serious on ${path}, ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme })
      await page.goto(path)
      await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
      await page.waitForLoadState('networkidle')
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
    })
  }
}

test('fits a phone without scrolling sideways', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const path of ['/ui/', '/ui/tasks', '/ui/tasks/task-104', '/ui/workers', '/ui/queues', '/ui/events']) {
    await page.goto(path)
    await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
    await page.waitForLoadState('networkidle')
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(390)
  }
})

test('first load stays under 250 kB of compressed JavaScript', async ({ page }) => {
  const scripts: Promise<Buffer>[] = []
  page.on('response', (response) => {
    if (response.url().endsWith('.js')) scripts.push(response.body())
  })
  await page.goto('/ui/')
  await expect(page.locator('.uplot canvas').first()).toBeVisible()
  const { gzipSync } = await import('node:zlib')
  const sizes = (await Promise.all(scripts)).map((script) => gzipSync(script).length)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000)
})

test('shows High Load with what waits', async ({ page, mock }) => {
  mock.world.stats = statsJson({ systemStatus: 'High Load', reason: '4,210 waiting, 48 s at the current rate; pool at its maximum of 6', updatedAt: iso(Date.now()) })
  await page.goto('/ui/')
  await expect(page.getByTestId('system-status')).toContainText('High Load')
  await expect(page.getByText('4,210 waiting, 48 s at the current rate; pool at its maximum of 6')).toBeVisible()
})
