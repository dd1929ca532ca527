/** Pictures of the screens about tasks, with what opens on them: search, selection, panel, forms. */
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { expect, test } from '../mock/fixture'

const folder = join(import.meta.dirname, '../screens')
const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } }

type Scene = { path: string; full?: boolean; wideOnly?: boolean; set?: (page: Page) => Promise<void> }
const scenes: Record<string, Scene> = {
  search: { path: '/ui/tasks', set: (page) => page.getByRole('combobox').fill('status:') },
  facet: { path: '/ui/tasks?type=hash', set: (page) => page.locator('.facet').first().click() },
  selection: {
    path: '/ui/tasks?status=pending',
    set: async (page) => {
      await page.locator('.grid-rows input[type=checkbox]').nth(1).click()
      await page.locator('.grid-rows input[type=checkbox]').nth(4).click({ modifiers: ['Shift'] })
    },
  },
  bulk: {
    path: '/ui/tasks?status=pending',
    set: async (page) => {
      await page.locator('.grid-rows input[type=checkbox]').nth(1).click()
      await page.getByRole('toolbar').getByRole('button').first().click() // all that match
      await page.getByRole('toolbar').getByRole('button').first().click()
      await expect(page.getByRole('dialog')).toBeVisible()
    },
  },
  panel: { path: '/ui/tasks?open=task-104', wideOnly: true },
  running: { path: '/ui/tasks/task-12388', full: true },
  submit: { path: '/ui/submit', full: true },
  like: { path: '/ui/submit?like=task-104', full: true },
  faulty: {
    path: '/ui/submit',
    full: true,
    set: async (page) => {
      await page.locator('textarea').fill('{"width": 800,\n "height": }')
      await page.locator('form button[type=submit]').click()
    },
  },
  limits: { path: '/ui/queues', set: (page) => page.locator('.queue-limits').nth(1).click() },
}

for (const [size, viewport] of Object.entries(sizes)) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`${size} ${scheme}`, () => {
      test.use({ viewport, colorScheme: scheme, locale: scheme === 'dark' ? 'es-MX' : 'en-GB' })
      for (const [name, { path, full, wideOnly, set }] of Object.entries(scenes)) {
        if (wideOnly && size === 'phone') continue
        test(name, async ({ page }) => {
          await page.goto(path)
          await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
          await page.waitForLoadState('networkidle')
          await set?.(page)
          await page.waitForLoadState('networkidle')
          await page.screenshot({ path: join(folder, `busy-${name}-${size}-${scheme}.png`), fullPage: full ?? false })
        })
      }
    })
  }
}
