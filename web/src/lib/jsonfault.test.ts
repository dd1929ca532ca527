import { describe, expect, it } from 'vitest'
import { jsonFault } from './jsonfault'

describe('jsonFault', () => {
  it.each(['{}', ' [1, -2.5e3, "a\\u00e9\\"", true, null, {"a": {"b": []}}] ', '"x"', '0', '12345678901234567890'])('takes %s', (text) => {
    expect(jsonFault(text)).toBeNull()
    expect(() => JSON.parse(text) as unknown).not.toThrow()
  })

  it.each([
    ['{\n  "a": x\n}', 2, 8],
    ['{"a":', 1, 6],
    ['{"a": 1,}', 1, 9],
    ['{a: 1}', 1, 2],
    ['[1 2]', 1, 4],
    ['"open', 1, 1],
    ['01', 1, 2],
    ['{} {}', 1, 4],
    ['', 1, 1],
    ["{'a': 1}", 1, 2],
  ])('%j: line %d, column %d', (text, line, column) => {
    expect(jsonFault(text)).toEqual({ line, column })
    expect(() => JSON.parse(text) as unknown).toThrow()
  })
})
