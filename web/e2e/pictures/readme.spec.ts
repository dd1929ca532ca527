/** The README's pictures: a system that has worked for some minutes, as `make pictures` takes them. */
import { join } from 'node:path'
import { expect, test, type System } from '../real/system'

const folder = join(import.meta.dirname, '../../../docs/images')
const workMs = 200_000
const everyMs = 400

test.use({ settings: { BATUTA_POOL_MIN: '2', BATUTA_POOL_MAX: '6', BATUTA_WORKER_CONCURRENCY: '4' }, viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 })

/** Work as a system has it: many small tasks, some long ones, now and then a rush, a few that fail. */
function batch(i: number): unknown[] {
  const wave = 2 + Math.round(2 * Math.sin(i / 25) ** 2) + (i % 60 === 30 ? 60 : 0)
  return Array.from({ length: wave }, (_, n) => {
    const k = i * 7 + n * 3
    const common = { priority: ['critical', 'high', 'medium', 'medium', 'low'][k % 5], tags: { customer: ['acme', 'globex', 'initech'][k % 3] }, backoff: { policy: 'fixed', baseMs: 1500, maxMs: 1500, jitter: 0 } }
    if (k % 211 === 0) return { ...common, type: 'sleep', payload: { ms: 300, failTimes: 9 }, maxRetries: 1 }
    if (k % 4 === 0) return { ...common, type: 'sleep', payload: { ms: 400 + ((k * 97) % 2600), failTimes: k % 12 === 0 ? 1 : 0 } }
    if (k % 4 === 1) return { ...common, type: 'hash', payload: { text: `report ${k}`, algorithm: 'sha256', rounds: 100_000 + ((k * 7919) % 300_000) } }
    if (k % 4 === 2) return { ...common, type: 'csv.stats', payload: { text: 'region,amount\nnorth,12.5\nsouth,8\n' } }
    return { ...common, type: 'gzip', payload: { data: 'QmF0dXRh' } }
  })
}

async function work(system: System, ms: number): Promise<void> {
  const until = Date.now() + ms
  for (let i = 0; Date.now() < until; i++) {
    await fetch(`${system.url}/tasks`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(batch(i)) })
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

test('pictures', async ({ page, system }) => {
  const id = await system.submit(
    '{"type":"sleep","payload":{"ms":1200,"failTimes":2},"priority":"high","tags":{"customer":"acme"},"maxRetries":3,"backoff":{"policy":"exponential","baseMs":1000,"maxMs":60000,"jitter":0}}',
  )
  const working = work(system, workMs)
  await page.emulateMedia({ colorScheme: 'light' })
  await page.goto('/ui/?window=5m')
  await expect(page.getByTestId('chart-memory').locator('canvas')).toBeVisible()
  await working
  await page.getByTestId('chart-perMinute').scrollIntoViewIfNeeded()
  await page.evaluate(() => window.scrollTo(0, 0))
  await page.screenshot({ path: join(folder, 'overview.png') })
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.goto(`/ui/tasks/${id}`)
  await expect(page.locator('.task-head .state')).toHaveText('Completed')
  await page.waitForLoadState('networkidle')
  await page.screenshot({ path: join(folder, 'task.png') })
})
