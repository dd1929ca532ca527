import { describe, expect, it } from 'vitest'
import { formatQuery, parseQuery } from './query.model'

describe('parseQuery', () => {
  it('reads every filter', () => {
    expect(parseQuery('status:failed type:image.* worker:worker-3 tag:customer=acme queue:bulk priority:high task-10').filter).toEqual({
      status: 'failed',
      type: 'image.*',
      worker: 'worker-3',
      tag: 'customer:acme',
      queue: 'bulk',
      priority: 'high',
      q: 'task-10',
    })
  })

  it('names what it does not know', () => {
    expect(parseQuery('state:failed')).toEqual({ filter: {}, unknown: ['state'] })
  })

  it('leaves out what has no value yet', () => {
    expect(parseQuery(' type: ')).toEqual({ filter: {}, unknown: [] })
  })

  it('is the inverse of formatQuery', () => {
    const filter = { type: 'image.*', tag: 'customer:acme', q: 'task-1' }
    expect(parseQuery(formatQuery(filter)).filter).toEqual(filter)
  })
})
