import { describe, expect, it } from 'vitest'
import { EventsSearch, parseSearch, stringifySearch, TasksSearch } from './search'

describe('addresses', () => {
  it('are plain pairs that survive a round trip', () => {
    const search = { status: 'failed,cancelled', type: 'image.*', tag: 'customer:acme', q: '104' }
    expect(stringifySearch(search)).toBe('?q=104&status=failed,cancelled&tag=customer:acme&type=image.*')
    expect(parseSearch(stringifySearch(search))).toEqual(search)
    expect(stringifySearch({ status: undefined, q: '' })).toBe('')
  })

  it('take what is malformed or empty as absent', () => {
    expect(TasksSearch.parse({ status: '', sort: 'colour', follow: 'yes', other: 'x' })).toEqual({})
    expect(EventsSearch.parse({ kind: 'failures', worker: 'worker-3' })).toEqual({ kind: 'failures', worker: 'worker-3' })
  })
})
