import { describe, expect, it } from 'vitest'
import { KeyReader, pairMs, type Press } from './keys'

const press = (key: string, part: Partial<Press> = {}): Press => ({ key, ctrl: false, meta: false, alt: false, typing: false, ...part })
const reader = () => new KeyReader(['o', 't'])

describe('KeyReader', () => {
  it('opens the palette with Ctrl or Cmd, also out of a text', () => {
    expect(reader().read(press('k', { ctrl: true }), 0)).toEqual({ kind: 'palette' })
    expect(reader().read(press('K', { meta: true, typing: true }), 0)).toEqual({ kind: 'palette' })
    expect(reader().read(press('k'), 0)).toBeNull()
  })

  it('leaves texts and the browser\'s own keys alone', () => {
    expect(reader().read(press('?', { typing: true }), 0)).toBeNull()
    expect(reader().read(press('p', { ctrl: true }), 0)).toBeNull()
  })

  it('reads g and a page as a pair, for a while', () => {
    const keys = reader()
    expect(keys.read(press('g'), 0)).toBeNull()
    expect(keys.read(press('t'), 500)).toEqual({ kind: 'page', key: 't' })
    expect(keys.read(press('t'), 600)).toBeNull()
    keys.read(press('g'), 1000)
    expect(keys.read(press('t'), 1000 + pairMs)).toBeNull()
    keys.read(press('g'), 3000)
    expect(keys.read(press('p'), 3100)).toBeNull()
    expect(keys.read(press('p'), 3200)).toEqual({ kind: 'pause' })
  })
})
