import { describe, expect, it } from 'vitest'
import { formatQuery, parseQuery, toggled } from './query.model'

describe('parseQuery', () => {
  it('reads every filter', () => {
    expect(parseQuery('status:failed type:image.* worker:worker-3 tag:customer=acme queue:bulk priority:high task-10')).toEqual({
      filter: { status: 'failed', type: 'image.*', worker: 'worker-3', tag: 'customer:acme', queue: 'bulk', priority: 'high', q: 'task-10' },
      faults: [],
    })
  })

  it('names what it does not know', () => {
    expect(parseQuery('state:failed').faults).toEqual([{ kind: 'name', name: 'state' }])
    expect(parseQuery('status:failed,done').faults).toMatchObject([{ kind: 'value', name: 'status', value: 'done' }])
    expect(parseQuery('tag:acme').faults).toEqual([{ kind: 'tag', value: 'acme' }])
  })

  it('leaves out what has no value yet', () => {
    expect(parseQuery(' type: status:failed, ')).toEqual({ filter: { status: 'failed' }, faults: [] })
  })

  it('keeps spaces inside quotes', () => {
    expect(parseQuery('tag:customer="Acme Inc" task-1').filter).toEqual({ tag: 'customer:Acme Inc', q: 'task-1' })
  })

  it.each([{ status: 'failed', type: 'image.*', tag: 'customer:acme', q: 'task-1' }, { tag: 'a:b c,d:e' }, { status: 'failed,cancelled' }, {}])('is the inverse of formatQuery: %j', (filter) => {
    expect(parseQuery(formatQuery(filter))).toEqual({ filter, faults: [] })
  })
})

it('toggled adds and removes one value of a list', () => {
  expect(toggled(undefined, 'a')).toBe('a')
  expect(toggled('a', 'b')).toBe('a,b')
  expect(toggled('a,b', 'a')).toBe('b')
  expect(toggled('b', 'b')).toBeUndefined()
})
