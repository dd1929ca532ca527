import { describe, expect, it } from 'vitest'
import { i18n } from '@/i18n/context'
import { sayReason } from './reasons'

const en = i18n('en')
const es = i18n('es')

/** As the services write them. */
const known = [
  '4210 waiting and 8 running at 1.2s a task; the maximum is 6',
  '12 waiting and 4 running, time a task takes unknown',
  'nothing to do; the minimum is 1',
  'the pool is paused',
  'the most that was needed in the last 10s',
  'worker-7 was lost at 10:21:02 UTC; 2 of its tasks are not running again yet',
  'a process of pool default was lost at 10:21:02 UTC',
  '12 waiting; all 6 workers of pool default are busy, and that is its maximum',
  '4210 waiting, 48 s at the current rate of 87.71 a second',
  '2 waiting, the oldest for 61 s, and none is started',
  '12 waiting, 8 running',
  'hung: silent for 5s',
  'silent for 5s',
  'killed by an operator',
  'drained',
  'did not end when it was drained',
  'the pool stops',
  'exited with code 137; the next one is started in 1s, since several ended at once',
  'ended by signal: killed',
  'killed: it did not yield task-104 (cancelled) within 5s',
  'lost: its heartbeat ended',
  'stopped',
  'cannot be started: no such file',
  'ana (operator) from 127.0.0.1',
  'crash',
  'repair',
]

describe('sayReason', () => {
  it.each(known)('says %j in both languages', (reason) => {
    const [english, spanish] = [sayReason(reason, en), sayReason(reason, es)]
    for (const text of [english, spanish]) expect(text).not.toMatch(/[{}]/)
    expect(spanish).not.toBe(english)
    expect(spanish).not.toContain(' waiting')
  })

  it('groups large numbers and keeps what it names', () => {
    expect(sayReason('4210 waiting, 48 s at the current rate of 87.71 a second', en)).toBe('4,210 waiting, 48 s at the current rate of 87.7 a second')
    expect(sayReason('a process of pool gpu was lost at 10:21:02 UTC', es)).toBe('un proceso del pool gpu se perdió a las 10:21:02 UTC')
  })

  it('leaves alone what it does not know', () => {
    expect(sayReason('the moon is full; drained', es)).toBe('the moon is full; vaciado')
  })
})
