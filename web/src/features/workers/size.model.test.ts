import { expect, it } from 'vitest'
import { readSize } from './size.model'

it.each([
  ['1', '6', { min: 1, max: 6 }],
  [' 0 ', '1', { min: 0, max: 1 }],
  ['0', '0', null],
  ['4', '3', null],
  ['', '3', null],
  ['1.5', '3', null],
  ['-1', '3', null],
  ['1', '100001', null],
])('reads %j to %j as %j', (min, max, size) => {
  expect(readSize(min, max)).toEqual(size)
})
