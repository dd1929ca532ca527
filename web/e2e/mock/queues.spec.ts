import { expect, test } from './fixture'

const panel = (name: string) => `.queue:has(h2:text-is("${name}"))`

test('shows what waits by priority, and every lane is a door', async ({ page }) => {
  await page.goto('/ui/queues')
  const lanes = page.locator(panel('default')).locator('.lanes a')
  await expect(lanes).toHaveText([/Critical\s*0/, /High\s*2/, /Medium\s*7/, /Low\s*3/])
  await expect(page.locator(panel('mail'))).toContainText('No pool serves this queue: its tasks wait.')
  await lanes.nth(2).click()
  await expect(page).toHaveURL('/ui/tasks?priority=medium&queue=default&status=pending')
})

test('changes the limits of a queue and of its types, checking each field', async ({ page, mock }) => {
  await page.goto('/ui/queues')
  await page.getByRole('button', { name: 'Change the limits of reports' }).click()
  const dialog = page.getByRole('dialog', { name: 'Limits of reports' })
  await expect(dialog.getByLabel('At most at once')).toHaveValue('4')
  await dialog.getByLabel('At most at once').fill('0')
  await dialog.getByLabel('At most per second').fill('2.5')
  await dialog.getByRole('button', { name: 'Add a type' }).click()
  await dialog.getByLabel('Type 1', { exact: true }).fill('image.resize')
  await dialog.getByLabel('At once 1').fill('2')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog.getByText('A whole number from 1.')).toBeVisible()
  await dialog.getByLabel('At most at once').fill('')
  mock.faults.set('PATCH /queues/reports', { status: 400, title: 'Bad Request', detail: 'one fault', errors: [{ field: 'types.image.resize.maxConcurrent', value: 2, rule: 'must be even more' }] })
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog.getByText('must be even more')).toBeVisible()
  mock.faults.clear()
  await dialog.getByLabel('At once 1').fill('3')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog).toBeHidden()
  await expect(page.getByText('Limits of reports changed.')).toBeVisible()
  expect(mock.requests.filter(({ method }) => method === 'PATCH').at(-1)).toMatchObject({ path: '/queues/reports', body: { maxConcurrent: null, ratePerSecond: 2.5, types: { 'image.resize': { maxConcurrent: 3, ratePerSecond: null } } } })
  mock.push({ queues: { upserted: mock.world.queues, removed: [] } })
  await expect(page.getByRole('button', { name: 'Change the limits of reports' })).toContainText('image.resize: 3 at once')
})
