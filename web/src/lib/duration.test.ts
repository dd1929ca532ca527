import { describe, expect, it } from 'vitest'
import { parseDuration, writeDuration } from './duration'

describe('parseDuration', () => {
  it.each([
    ['500', 500],
    ['500 ms', 500],
    ['1.5s', 1500],
    ['1h 30m', 5_400_000],
    ['2 min', 120_000],
    ['7D', 604_800_000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each(['', 'soon', '5 parsecs', '-3s', '1h x'])('refuses "%s"', (text) => expect(parseDuration(text)).toBeNull())
})

it.each([1, 500, 1500, 60_000, 5_400_000, 86_400_000, 90_061_001])('writeDuration is read back: %d', (ms) => {
  expect(parseDuration(writeDuration(ms))).toBe(ms)
})
