import { eventJson, iso, taskJson } from '../../src/test/wire'
import { expect, test } from './fixture'

const rows = '[role=row][aria-rowindex]'

test('filters by status, keeps it in the address, and goes back', async ({ page }) => {
  await page.goto('/ui/tasks')
  await expect(page.getByTestId('task-total')).toHaveText('401 tasks')
  await page.getByRole('group', { name: 'Status' }).getByRole('link', { name: /In progress/ }).click()
  await expect(page).toHaveURL('/ui/tasks?status=inProgress')
  await expect(page.getByTestId('task-total')).toHaveText('8 tasks')
  await expect(page.locator(rows)).toHaveCount(8)
  await page.goBack()
  await expect(page.getByTestId('task-total')).toHaveText('401 tasks')
  await page.goto('/ui/tasks?status=retrying,cancelled')
  await expect(page.getByTestId('task-total')).toHaveText('2 tasks')
})

test('searches, and refuses a filter it does not know', async ({ page, mock }) => {
  await page.goto('/ui/tasks')
  const search = page.getByRole('searchbox', { name: 'Search tasks' })
  await search.fill('type:image.* status:failed tag:customer=acme')
  await search.press('Enter')
  await expect(page).toHaveURL('/ui/tasks?status=failed&tag=customer:acme&type=image.*')
  await expect(page.locator(rows)).toHaveCount(1)
  await expect(page.getByTestId('task-task-104')).toContainText('image.resize')
  await search.fill('colour:red')
  await expect(page.getByText('Unknown filter: colour')).toBeVisible()
  await page.getByRole('link', { name: 'Clear filters' }).click()
  await expect(page.getByTestId('task-total')).toHaveText('401 tasks')
  expect(mock.requests.every(({ query }) => !('colour' in query))).toBe(true)
})

test('keeps rows still: new tasks wait behind a line, known ones change in place', async ({ page, mock }) => {
  await page.goto('/ui/tasks')
  await expect(page.locator(rows).first()).toContainText('task-12400')
  const known = mock.world.tasks[0]
  if (!known) throw new Error('no task')
  mock.push({ tasks: { upserted: [{ ...known, status: 'inProgress', worker: 'worker-2' }, taskJson({ id: 'task-12401', submittedAt: iso(Date.now()) })], removed: [] } })
  await expect(page.getByTestId('task-task-12400')).toContainText('In progress')
  await expect(page.getByTestId('task-task-12401')).toHaveCount(0)
  await page.getByRole('button', { name: '1 new: show' }).click()
  await expect(page.locator(rows).first()).toContainText('task-12401')
  await page.getByRole('button', { name: 'Follow' }).click()
  await expect(page).toHaveURL(/follow=1/)
  mock.push({ tasks: { upserted: [taskJson({ id: 'task-12402', submittedAt: iso(Date.now() + 1000) })], removed: [] } })
  await expect(page.locator(rows).first()).toContainText('task-12402')
})

test('scrolls through all pages with only the rows in view in the page', async ({ page }) => {
  await page.goto('/ui/tasks')
  await expect(page.locator(rows).first()).toBeVisible()
  await expect(async () => {
    await page.mouse.wheel(0, 20_000)
    await expect(page.getByTestId('task-task-12001')).toBeVisible({ timeout: 500 })
  }).toPass()
  expect(await page.locator(rows).count()).toBeLessThan(80)
})

test('cancels all tasks of a filter after naming their number', async ({ page, mock }) => {
  await page.goto('/ui/tasks?status=pending&type=hash')
  await page.getByRole('button', { name: 'Cancel all…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Cancel 2 tasks?' })
  await expect(dialog).toContainText('status:pending type:hash')
  await dialog.getByRole('button', { name: 'Cancel', exact: true }).click()
  await expect(page.getByText('Asked for 2 tasks.')).toBeVisible()
  expect(mock.requests.filter(({ path }) => path === '/tasks/cancel').map(({ body }) => body)).toEqual([
    { status: 'pending', type: 'hash', dryRun: true },
    { status: 'pending', type: 'hash' },
  ])
})

test('a failed task tells its story, with the digits it was given, and can be run again', async ({ page, mock }) => {
  await page.goto('/ui/tasks?status=failed')
  await page.getByRole('link', { name: 'task-104' }).click()
  await expect(page).toHaveURL('/ui/tasks/task-104')
  await expect(page.locator('.task-error')).toHaveText('read /data/in/photo-104.png: no such file or directory')
  await expect(page.locator('.timeline-words li')).toHaveText([/waited 2 ms/, /ran 1,198 ms on worker-3/, /backed off 1,100 ms/, /ran 1,200 ms on worker-1/])
  await expect(page.locator('pre[aria-label=Payload]')).toContainText('"invoice": 12345678901234567890,')
  await expect(page.locator('pre[aria-label=Payload]')).toContainText('"ratio": 1.50')
  await expect(page.locator('.logs')).toContainText('opening in/photo-104.png')
  await expect(page.getByRole('table', { name: 'History' }).getByRole('row')).toHaveCount(5)
  await page.getByRole('button', { name: 'Retry' }).click()
  await expect(page.getByText('Retry of task-104 accepted.')).toBeVisible()
  expect(mock.requests.some(({ method, path }) => method === 'POST' && path === '/tasks/task-104/retry')).toBe(true)
})

test('a task changes under the eyes of its reader, and can be cancelled', async ({ page, mock }) => {
  const id = 'task-12388'
  await page.goto(`/ui/tasks/${id}`)
  const state = page.locator('.task-head .state')
  await expect(state).toHaveText('In progress')
  await expect(page.getByRole('progressbar', { name: 'Progress' })).toBeVisible()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel', exact: true }).click()
  await expect(page.getByText(`Cancel of ${id} accepted.`)).toBeVisible()
  const task = mock.world.tasks.find((known) => known.id === id)
  if (!task) throw new Error('no task')
  mock.push({ tasks: { upserted: [{ ...task, status: 'cancelled', finishedAt: iso(Date.now()) }], removed: [] }, events: [eventJson({ seq: '1400.0', event: 'task.cancelled', taskId: id, timestamp: iso(Date.now()), data: {} })] })
  await expect(state).toHaveText('Cancelled')
  await expect(page.getByRole('table', { name: 'History' })).toContainText('Task cancelled')
})

test('deletes after asking, and reports a refusal', async ({ page, mock }) => {
  mock.faults.set('DELETE /tasks/task-104', { status: 409, title: 'Conflict', detail: 'the task has not ended' })
  await page.goto('/ui/tasks/task-104')
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog', { name: 'Delete task-104?' }).getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByText('the task has not ended')).toBeVisible()
  mock.faults.clear()
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(page).toHaveURL('/ui/tasks')
  expect(mock.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(2)
})

test('says what is wrong when the API fails, and tries again', async ({ page, mock }) => {
  mock.faults.set('GET /tasks', { status: 400, title: 'Bad Request', detail: 'status must be one of …' })
  await page.goto('/ui/tasks?status=nonsense')
  await expect(page.getByRole('alert')).toContainText('status must be one of …')
  mock.faults.clear()
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('No task matches these filters.')).toBeVisible()
})

test('works from the keyboard alone', async ({ page }) => {
  await page.goto('/ui/tasks')
  await expect(page.locator(rows).first()).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('#main')).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('searchbox')).toBeFocused()
  await page.keyboard.type('status:failed')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL('/ui/tasks?status=failed')
})
