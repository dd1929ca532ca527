import { afterEach, expect, it, vi } from 'vitest'
import { act, scopeOf } from './bulk.model'

const noWait = () => Promise.resolve()
afterEach(() => vi.unstubAllGlobals())

function answers(...matched: number[]) {
  const bodies: unknown[] = []
  vi.stubGlobal('fetch', (_: string, init: { body: string }) => {
    bodies.push(JSON.parse(init.body))
    return Promise.resolve(new Response(JSON.stringify({ matched: matched.shift() ?? 0 }), { status: 202 }))
  })
  return bodies
}

it('asks once, then counts until nothing is left', async () => {
  const bodies = answers(12, 5, 0)
  expect(await act('cancel', { type: 'hash' }, noWait)).toEqual({ asked: 12, left: 0 })
  expect(bodies).toEqual([{ type: 'hash' }, { type: 'hash', dryRun: true }, { type: 'hash', dryRun: true }])
})

it('gives up looking after a while and says how many are left', async () => {
  answers(3, ...Array.from({ length: 50 }, () => 2))
  expect(await act('cancel', { ids: ['a', 'b', 'c'] }, noWait)).toEqual({ asked: 3, left: 2 })
})

it('names the states where there is no filter', () => {
  expect(scopeOf('retry', {})).toEqual({ status: 'failed,cancelled' })
  expect(scopeOf('retry', { type: 'hash' })).toEqual({ type: 'hash' })
})
