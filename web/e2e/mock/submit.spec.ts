import AxeBuilder from '@axe-core/playwright'
import { expect, test } from './fixture'

test('checks each field, then submits what was written, digits and all', async ({ page, mock }) => {
  await page.goto('/ui/tasks')
  await page.getByRole('link', { name: 'New task' }).click()
  await expect(page).toHaveURL('/ui/submit')
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.getByText('This is needed.')).toBeVisible()
  await expect(page.getByLabel('Type')).toBeFocused()
  await page.getByLabel('Type').fill('invoice.print')
  await page.getByLabel('Payload').fill('{\n  "n": 12345678901234567890,\n  "m": x\n}')
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.getByText('Not JSON: look at line 3, column 8.')).toBeVisible()
  await page.getByLabel('Payload').fill('{"n": 12345678901234567890, "m": 1.50}')
  await page.getByLabel('High').check()
  await page.getByLabel('After a while').check()
  await page.getByLabel('Wait', { exact: true }).fill('10 m')
  await page.getByText('Retries, limits, tags, id').click()
  await page.getByLabel('Timeout').fill('90s')
  await page.getByRole('button', { name: 'Add a tag' }).click()
  await page.getByLabel('Key of tag 1').fill('customer')
  await page.getByLabel('Value of tag 1').fill('acme')
  await page.getByText('The same as a command').click()
  await expect(page.locator('pre[aria-label=curl]')).toContainText('"n": 12345678901234567890, "m": 1.50')
  let sent = ''
  page.on('request', (request) => {
    if (request.method() === 'POST') sent = request.postData() ?? ''
  })
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.getByText('task-900 submitted.')).toBeVisible()
  await expect(page).toHaveURL('/ui/tasks/task-900')
  expect(sent).toBe('{"type":"invoice.print","priority":"high","payload":{"n": 12345678901234567890, "m": 1.50},"timeoutMs":90000,"delayMs":600000,"tags":{"customer":"acme"}}')
  expect(mock.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
})

test("shows the API's own complaints at their fields", async ({ page, mock }) => {
  const errors = [
    { field: 'backoff.baseMs', value: 0, rule: 'must be from 1 ms by a rule of tomorrow' },
    { field: 'tags.customer', value: 'x', rule: 'customers have other names' },
    { field: 'colour', value: 'red', rule: 'is not known' },
  ]
  mock.faults.set('POST /tasks', { status: 400, title: 'Bad Request', detail: 'three faults', errors })
  await page.goto('/ui/submit')
  await page.getByLabel('Type').fill('hash')
  await page.getByText('Retries, limits, tags, id').click()
  await page.getByRole('button', { name: 'Add a tag' }).click()
  await page.getByLabel('Key of tag 1').fill('customer')
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.locator('.field', { has: page.getByLabel('First wait') })).toContainText('must be from 1 ms by a rule of tomorrow')
  await expect(page.locator('.tag-row')).toContainText('customers have other names')
  await expect(page.getByText('colour: is not known')).toBeVisible()
  mock.faults.set('POST /tasks', { status: 409, title: 'Conflict', detail: 'the id mine is taken by a task with other content' })
  await page.getByLabel('Own id').fill('mine')
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.locator('.field', { has: page.getByLabel('Own id') })).toContainText('the id mine is taken')
})

test('runs one like another', async ({ page, mock }) => {
  await page.goto('/ui/tasks/task-104')
  await page.getByRole('link', { name: 'Run one like this' }).click()
  await expect(page).toHaveURL('/ui/submit?like=task-104')
  await expect(page.getByLabel('Type')).toHaveValue('image.resize')
  await expect(page.getByLabel('Payload')).toHaveValue(/"invoice": 12345678901234567890/)
  await expect(page.getByLabel('Key of tag 1')).toHaveValue('customer')
  await expect(page.getByLabel('High')).toBeChecked()
  await page.getByRole('button', { name: 'Submit' }).click()
  await expect(page.getByText('task-900 submitted.')).toBeVisible()
  expect(mock.requests.find(({ method }) => method === 'POST')?.body).toMatchObject({ type: 'image.resize', priority: 'high', maxRetries: 1, tags: { customer: 'acme', batch: '2026-01' } })
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing serious in the form, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme })
    await page.goto('/ui/submit?like=task-104')
    await page.getByLabel('Type').fill('not..a..type')
    await page.getByRole('button', { name: 'Submit' }).click()
    await expect(page.getByText('Up to 64 characters')).toBeVisible()
    const { violations } = await new AxeBuilder({ page }).analyze()
    expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
  })
}
