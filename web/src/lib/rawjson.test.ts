import { describe, expect, it } from 'vitest'
import { indentJson, rawEntries, rawMembers } from './rawjson'

describe('rawMembers', () => {
  it('keeps the digits of numbers that JavaScript would round', () => {
    const members = rawMembers('{"id":"a","payload":{"big":12345678901234567890, "price":1.50},"result":9007199254740993}')
    expect(members.get('payload')).toBe('{"big":12345678901234567890, "price":1.50}')
    expect(members.get('result')).toBe('9007199254740993')
  })

  it('is not misled by brackets, quotes and keys inside strings', () => {
    const members = rawMembers(String.raw`{ "payload" : "}\"],{ \"result\": 1" , "result":[ "]" , {"a":"\\"} ] }`)
    expect(members.get('payload')).toBe(String.raw`"}\"],{ \"result\": 1"`)
    expect(members.get('result')).toBe(String.raw`[ "]" , {"a":"\\"} ]`)
  })

  it('takes only members of the outermost object', () => {
    expect([...rawMembers('{"a":{"payload":1},"b":null}').keys()]).toEqual(['a', 'b'])
  })

  it.each(['', '[]', '{', '{"a"', '{"a":', '{"a":[', '"x'])('ends on the incomplete text %j', (text) => {
    expect(() => [...rawMembers(text)]).not.toThrow(RangeError)
  })
})

describe('indentJson', () => {
  it('indents without touching a value', () => {
    expect(indentJson('{"a":[1,12345678901234567890,1.0e+2],"b":{},"c":[ ],"d":"x: {y}, z"}')).toBe(
      '{\n  "a": [\n    1,\n    12345678901234567890,\n    1.0e+2\n  ],\n  "b": {},\n  "c": [],\n  "d": "x: {y}, z"\n}',
    )
  })

  it('leaves an indented text as it is', () => {
    const text = '{\n  "a": [\n    null,\n    true\n  ]\n}'
    expect(indentJson(text)).toBe(text)
  })
})

describe('rawEntries', () => {
  it('gives members and items as written', () => {
    expect(rawEntries('{"a": 1.50, "b\\"c": [1, {"x": null}], "d":"}"}')).toEqual([
      { key: '"a"', text: '1.50' },
      { key: '"b\\"c"', text: '[1, {"x": null}]' },
      { key: '"d"', text: '"}"' },
    ])
    expect(rawEntries(' [ 12345678901234567890 , "]" ] ')?.map((entry) => entry.text)).toEqual(['12345678901234567890', '"]"'])
  })

  it('knows what has none', () => {
    expect(rawEntries('{}')).toEqual([])
    expect(rawEntries('"[1]"')).toBeNull()
    expect(rawEntries('12')).toBeNull()
  })
})
