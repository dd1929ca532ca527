import { describe, expect, it } from 'vitest'
import { put, suggest, wordAt, type Sources } from './suggest.model'

const sources: Sources = {
  facets: { status: { failed: 3, pending: 12 }, type: { 'image.resize': 5, 'image.crop': 2, hash: 9 }, queue: { default: 8 }, priority: {} },
  queues: ['default', 'reports'],
  workers: ['worker-10', 'worker-2'],
  tags: new Map([['customer', new Set(['acme', 'Zeta Inc'])]]),
}
const offered = (word: string) => suggest(word, sources).map((suggestion) => suggestion.word)

describe('suggest', () => {
  it('begins with the names of the filters', () => {
    expect(offered('')).toEqual(['status:', 'type:', 'queue:', 'priority:', 'worker:', 'tag:'])
    expect(offered('p')).toEqual(['priority:'])
  })

  it('finds a value without its name', () => {
    expect(offered('fail')).toEqual(['status:failed'])
    expect(offered('res')).toEqual(['type:image.resize'])
    expect(offered('worker')).toEqual(['worker:', 'worker:worker-2', 'worker:worker-10'])
  })

  it('offers families of types before their members, by how many there are', () => {
    expect(offered('type:')).toEqual(['type:hash', 'type:image.*', 'type:image.resize', 'type:image.crop'])
    expect(suggest('type:', sources)[1]?.count).toBe(7)
  })

  it('goes on after a comma with what is not taken yet', () => {
    expect(offered('status:failed,p')).toEqual(['status:failed,pending', 'status:failed,inProgress'])
    expect(offered('queue:default,')).toEqual(['queue:default,reports'])
  })

  it('offers keys of tags, then their values', () => {
    expect(offered('tag:')).toEqual(['tag:customer='])
    expect(offered('tag:customer=')).toEqual(['tag:customer=acme', 'tag:"customer=Zeta Inc"'])
  })

  it('is silent where the word is whole, or has an unknown name', () => {
    expect(offered('status:failed')).toEqual([])
    expect(offered('colour:')).toEqual([])
  })
})

describe('put', () => {
  it('replaces the word at the cursor and moves on', () => {
    const text = 'sta type:hash'
    expect(wordAt(text, 3)).toEqual({ start: 0, end: 3, text: 'sta' })
    expect(put(text, wordAt(text, 3), 'status:')).toEqual({ text: 'status: type:hash', cursor: 7 })
    expect(put(text, wordAt(text, 3), 'status:failed')).toEqual({ text: 'status:failed type:hash', cursor: 14 })
  })
})
