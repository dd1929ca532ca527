import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { ContractError, json, NetworkError, nothing, ProblemError, request, search } from './request'
import { sessionStore } from './session'

const fetched = vi.fn<typeof fetch>()
beforeEach(() => vi.stubGlobal('fetch', fetched))
afterEach(() => {
  vi.unstubAllGlobals()
  sessionStore.opened()
})

const answer = (status: number, body: string) => fetched.mockResolvedValueOnce(new Response(status === 204 ? null : body, { status }))
const read = json(z.object({ n: z.number() }), '/x')

describe('request', () => {
  it('reads what it asked for and ignores what is new', async () => {
    answer(200, '{"n":1,"more":true}')
    await expect(request('/x', read, { query: { q: 'a b', empty: '', none: undefined } })).resolves.toEqual({ n: 1 })
    expect(fetched.mock.lastCall?.[0]).toBe('/x?q=a+b')
  })

  it('sends a body as JSON', async () => {
    answer(204, '')
    await request('/x', nothing, { method: 'POST', body: { a: 1 } })
    expect(fetched.mock.lastCall?.[1]).toMatchObject({ method: 'POST', body: '{"a":1}', credentials: 'same-origin', headers: { 'content-type': 'application/json' } })
  })

  it('turns a problem into a typed error with every fault', async () => {
    answer(400, JSON.stringify({ status: 400, title: 'Bad Request', detail: 'one field is wrong', errors: [{ field: 'priority', value: 'urgent', rule: 'one of critical, high' }] }))
    const error = await request('/x', read).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ProblemError)
    expect(error).toMatchObject({ status: 400, title: 'Bad Request', message: 'one field is wrong', faults: [{ field: 'priority', value: 'urgent', rule: 'one of critical, high' }] })
  })

  it('makes do with an error that is no problem document', async () => {
    answer(502, '<html>')
    await expect(request('/x', read)).rejects.toMatchObject({ status: 502, title: 'HTTP 502', faults: [] })
  })

  it('asks for a token after a 401', async () => {
    answer(401, '{"title":"Unauthorized"}')
    await expect(request('/x', read)).rejects.toBeInstanceOf(ProblemError)
    expect(sessionStore.isRequired()).toBe(true)
  })

  it('tells no answer from a wrong one', async () => {
    fetched.mockRejectedValueOnce(new TypeError('refused'))
    await expect(request('/x', read)).rejects.toBeInstanceOf(NetworkError)
    answer(200, '{"n":"1"}')
    await expect(request('/x', read)).rejects.toBeInstanceOf(ContractError)
    answer(200, 'nonsense')
    await expect(request('/x', read)).rejects.toMatchObject({ where: 'not JSON' })
  })
})

it('leaves empty parameters out', () => {
  expect(search({ a: '', b: null, c: undefined })).toBe('')
  expect(search({ status: 'pending', limit: 5 })).toBe('?status=pending&limit=5')
})
