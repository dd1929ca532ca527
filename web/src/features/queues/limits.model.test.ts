import { describe, expect, it } from 'vitest'
import { toQueue } from '@/data/queues/mapper'
import { queueJson } from '@/test/wire'
import * as wire from '@/wire/schemas'
import { bodyOf, draftOf, faultsOf, fieldOf } from './limits.model'

const queue = toQueue(wire.Queue.parse(queueJson({ maxConcurrent: 4, ratePerSecond: null, types: { 'image.resize': { maxConcurrent: 2, ratePerSecond: 0.5 } } })))
const draft = draftOf(queue)

it('draftOf and bodyOf say the same', () => {
  expect(draft).toEqual({ maxConcurrent: '4', ratePerSecond: '', types: [{ type: 'image.resize', maxConcurrent: '2', ratePerSecond: '0.5' }] })
  expect(bodyOf(draft, queue)).toEqual({ maxConcurrent: 4, ratePerSecond: null, types: { 'image.resize': { maxConcurrent: 2, ratePerSecond: 0.5 } } })
})

it('takes the limits of a type away that is no longer listed', () => {
  expect(bodyOf({ ...draft, maxConcurrent: '', types: [{ type: 'hash', maxConcurrent: '1', ratePerSecond: '' }] }, queue)).toEqual({
    maxConcurrent: null,
    ratePerSecond: null,
    types: { 'image.resize': null, hash: { maxConcurrent: 1, ratePerSecond: null } },
  })
})

describe('faultsOf', () => {
  const row = { type: 'hash', maxConcurrent: '', ratePerSecond: '' }
  it.each([
    [{ ...draft, maxConcurrent: '0' }, ['maxConcurrent rule.maxConcurrent']],
    [{ ...draft, ratePerSecond: '-1' }, ['ratePerSecond rule.ratePerSecond']],
    [{ ...draft, types: [{ ...row, type: '' }] }, ['types.0.type rule.type']],
    [{ ...draft, types: [row, row] }, ['types.1.type rule.typeTwice']],
    [{ ...draft, types: [{ ...row, ratePerSecond: 'many' }] }, ['types.0.ratePerSecond rule.ratePerSecond']],
    [draft, []],
  ])('%#', (given, expected) => expect(faultsOf(given).map(({ field, rule }) => `${field} ${rule}`)).toEqual(expected))
})

it.each([['maxConcurrent', 'maxConcurrent'], ['types.image.resize.ratePerSecond', 'types.0.ratePerSecond'], ['types.image.resize', 'types.0.type'], ['types.other', null], ['paused', null]])('fieldOf %s', (path, field) => {
  expect(fieldOf(path, draft)).toBe(field)
})
