import AxeBuilder from '@axe-core/playwright'
import { expect, test } from './fixture'

test('the palette finds pages, tasks by id, workers and actions, by keyboard alone', async ({ page, mock }) => {
  await page.goto('/ui/')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  await page.keyboard.press('Control+k')
  const input = page.getByPlaceholder('Page, task id, worker or action')
  await expect(input).toBeFocused()
  await input.fill('task-104')
  await expect(page.getByRole('option', { name: /task-104 image.resize Failed/ })).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL('/ui/tasks/task-104')
  await page.keyboard.press('Control+k')
  await input.fill('worker-5')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL('/ui/workers/worker-5')
  await page.keyboard.press('Control+k')
  await input.fill('pause updates')
  await page.keyboard.press('Enter')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'paused')
  await page.keyboard.press('Control+k')
  await input.fill('sample')
  await page.keyboard.press('Enter')
  await expect(page.getByText('Sample task-900 submitted.')).toBeVisible()
  expect(mock.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  await page.keyboard.press('Control+k')
  await page.keyboard.press('Escape')
  await expect(input).toBeHidden()
})

test('keys lead everywhere, and ? lists them', async ({ page }) => {
  await page.goto('/ui/')
  await expect(page.getByTestId('live')).toHaveAttribute('data-phase', 'live')
  for (const [key, path] of [['w', '/ui/workers'], ['e', '/ui/events'], ['q', '/ui/queues'], ['t', '/ui/tasks'], ['o', '/ui']] as const) {
    // The second key counts for a while only, and a busy machine may take longer than that.
    await expect(async () => {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
      await expect(page).toHaveURL(path, { timeout: 2000 })
    }).toPass()
  }
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
  const { violations } = await new AxeBuilder({ page }).include('dialog').analyze()
  expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([])
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toBeHidden()
})

for (const { role, submit, operate } of [
  { role: 'viewer', submit: 0, operate: 0 },
  { role: 'submitter', submit: 1, operate: 0 },
  { role: 'operator', submit: 1, operate: 1 },
] as const) {
  test(`shows a ${role} what the role may do, and no more`, async ({ page, mock }) => {
    mock.token = 'secret'
    mock.role = role
    await page.goto('/ui/workers')
    await page.getByLabel('Token').fill('secret')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect(page.getByTestId('who')).toContainText(`ana, ${role}`)
    await expect(page.getByTestId('worker-1')).toBeVisible()
    await expect(page.getByRole('button', { name: 'Kill worker-1' })).toHaveCount(operate)
    await expect(page.getByTestId('pool-default').getByRole('button', { name: 'Pause' })).toHaveCount(operate)
    await page.goto('/ui/tasks/task-104')
    await expect(page.getByRole('heading', { name: 'task-104' })).toBeVisible()
    await expect(page.getByRole('button', { name: 'Delete' })).toHaveCount(operate)
    await page.goto('/ui/queues')
    await expect(page.getByRole('region', { name: 'mail' })).toBeVisible()
    await expect(page.getByRole('region', { name: 'mail' }).getByRole('button', { name: 'Pause' })).toHaveCount(operate)
    await page.goto('/ui/tasks')
    await expect(page.getByTestId('task-task-12400')).toBeVisible()
    await expect(page.locator('a[href="/ui/submit"]')).toHaveCount(submit)
  })
}
