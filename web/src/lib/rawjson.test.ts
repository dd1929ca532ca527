import { describe, expect, it } from 'vitest'
import { indentJson, rawMembers } from './rawjson'

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
