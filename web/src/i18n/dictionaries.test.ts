import { describe, expect, it } from 'vitest'
import { areas as enAreas, en, type Key } from './en'
import { areas as esAreas, es } from './es'
import { same } from './same'

const keys = Object.keys(en) as Key[]
const alike = new Set(Object.values(same).flat())
const placeholders = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort()

describe('dictionaries', () => {
  it('have the same areas, and in each the same keys', () => {
    expect(Object.keys(esAreas)).toEqual(Object.keys(enAreas))
    for (const area of Object.keys(enAreas) as (keyof typeof enAreas)[]) {
      expect(Object.keys(esAreas[area]).sort(), area).toEqual(Object.keys(enAreas[area]).sort())
    }
  })

  it('have each key in one area only', () => {
    expect(Object.values(enAreas).flatMap((area) => Object.keys(area)).sort()).toEqual([...keys].sort())
    expect(Object.keys(es)).toHaveLength(keys.length)
  })

  it.each(keys)('%s is said in both languages', (key) => {
    expect(en[key].trim()).not.toBe('')
    expect(es[key].trim()).not.toBe('')
    if (alike.has(key)) expect(es[key]).toBe(en[key])
    else expect(es[key]).not.toBe(en[key])
  })

  it.each(keys)('%s uses the same values in both languages', (key) => {
    expect(placeholders(es[key])).toEqual(placeholders(en[key]))
  })
})
