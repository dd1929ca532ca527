import { describe, expect, it } from 'vitest'
import { roleMay, type Deed } from './session'

describe('roles', () => {
  it.each<[Parameters<typeof roleMay>[0], Deed[]]>([
    ['viewer', ['read']],
    ['submitter', ['read', 'submit']],
    ['operator', ['read', 'submit', 'operate']],
    ['admin', ['read', 'submit', 'operate']],
  ])('%s may %j', (role, deeds) => {
    expect((['read', 'submit', 'operate'] as const).filter((deed) => roleMay(role, deed))).toEqual(deeds)
  })
})
