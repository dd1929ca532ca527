import { describe, expect, it } from 'vitest'
import { age, duration, eventTime, relative, shortDuration } from './format'

describe('duration', () => {
  it.each([
    [0.42, '0.4 ms'],
    [958, '958 ms'],
    [1204, '1,204 ms'],
    [12_345, '12.3 s'],
    [192_000, '3 m 12 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 m'],
    [273_600_000, '3 d 4 h'],
  ])('says %d ms as %s', (ms, text) => {
    expect(duration('en', ms)).toBe(text)
    expect(duration('es', ms)).toBe(text)
  })
})

it('is short beside an axis', () => {
  expect([0, 20, 1500, 120_000, 7_200_000].map((ms) => shortDuration('en', ms))).toEqual(['0 ms', '20 ms', '1.5 s', '2 m', '2 h'])
})

it('ages in whole units, never negative', () => {
  expect([-50, 999, 2000, 61_000, 7_300_000, 200_000_000].map(age)).toEqual(['0 s', '0 s', '2 s', '1 m', '2 h', '2 d'])
})

it('says past and future in both languages', () => {
  expect(relative('en', 0, 2000)).toBe('2 s ago')
  expect(relative('es', 0, 2000)).toBe('hace 2 s')
  expect(relative('en', 5000, 0)).toBe('in 5 s')
  expect(relative('es', 400, 0)).toBe('ahora')
})

it('adds the day to the time of older events', () => {
  const now = new Date(2026, 0, 2, 10, 0, 0).getTime()
  expect(eventTime('en', now - 1000, now)).toBe('09:59:59')
  expect(eventTime('en', now - 86_400_000, now)).toContain('Jan 1')
})
