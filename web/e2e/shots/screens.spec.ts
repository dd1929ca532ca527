/** Pictures of every page, for people to look at: `npm run screens` writes them to e2e/screens. */
import { join } from 'node:path'
import { expect, test } from '../mock/fixture'

const folder = join(import.meta.dirname, '../screens')
const pages = { overview: '/ui/', tasks: '/ui/tasks', task: '/ui/tasks/task-104', workers: '/ui/workers', worker: '/ui/workers/worker-5', queues: '/ui/queues', events: '/ui/events' }
const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } }
const situations = ['busy', 'empty', 'disconnected'] as const

for (const situation of situations) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const scheme of ['light', 'dark'] as const) {
      test.describe(`${situation} ${size} ${scheme}`, () => {
        test.use({ world: situation === 'empty' ? 'empty' : 'busy', viewport, colorScheme: scheme, locale: scheme === 'dark' ? 'es-MX' : 'en-GB' })
        test('screens', async ({ page, mock }) => {
          for (const [name, path] of Object.entries(pages)) {
            await page.goto(path)
            await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
            if (situation === 'disconnected') {
              mock.faults.clear()
              const port = Number(new URL(mock.url).port)
              await page.waitForLoadState('networkidle')
              await mock.stop()
              await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'disconnected')
              await page.screenshot({ path: join(folder, `${situation}-${name}-${size}-${scheme}.png`) })
              await mock.start(port)
              continue
            }
            await page.waitForLoadState('networkidle')
            await page.screenshot({ path: join(folder, `${situation}-${name}-${size}-${scheme}.png`), fullPage: name === 'overview' || name === 'task' || name === 'worker' })
          }
        })
      })
    }
  }
}

for (const [size, viewport] of Object.entries(sizes)) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`what opens, ${size} ${scheme}`, () => {
      test.use({ viewport, colorScheme: scheme, locale: scheme === 'dark' ? 'es-MX' : 'en-GB' })
      test('screens', async ({ page, mock }) => {
        const shot = (name: string) => page.screenshot({ path: join(folder, `busy-${name}-${size}-${scheme}.png`) })
        await page.goto('/ui/workers')
        await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
        await page.keyboard.press('Control+k')
        await expect(page.locator('.palette input')).toBeFocused()
        await shot('palette')
        await page.keyboard.press('Escape')
        await page.keyboard.press('?')
        await expect(page.getByRole('dialog')).toBeVisible()
        await shot('keys')
        await page.keyboard.press('Escape')
        await page.getByTestId('pool-default').getByRole('button').first().click()
        await expect(page.getByRole('dialog')).toBeVisible()
        await shot('pool-size')
        await page.keyboard.press('Escape')
        await page.locator('.row-actions button').nth(1).click()
        await expect(page.getByRole('dialog')).toBeVisible()
        await shot('kill')
        await page.keyboard.press('Escape')
        await page.keyboard.press('p')
        await shot('paused')
        await page.keyboard.press('p')
        mock.silence()
        await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'stale')
        await shot('stale')
        mock.token = 'secret'
        await page.goto('/ui/')
        await expect(page.locator('.sign-in')).toBeVisible()
        await shot('sign-in')
      })
    })
  }
}
