import { describe, expect, it } from 'vitest'
import { i18n } from '@/i18n/context'
import { makeEvent } from '@/test/domain'
import { describeEvent, eventName, isFailure, knownEvents } from './events'

const en = i18n('en')
const es = i18n('es')

/** One of each, with the data that the services send. */
const samples: Record<string, Parameters<typeof makeEvent>[0]> = {
  'task.submitted': { data: { task: { type: 'hash' } } },
  'task.rejected': { taskId: null, data: { submitSeq: 7, errors: [{ field: 'priority', value: 'x', rule: 'one of critical, high, medium, low' }] } },
  'task.duplicate': {},
  'task.scheduled': { data: { scheduledFor: '2026-01-01T10:21:02.000Z', reason: 'delay' } },
  'task.started': { workerId: 'worker-3' },
  'task.progress': { data: { percent: 40, message: 'row 4' } },
  'task.completed': { data: { executionTimeMs: 1204 } },
  'task.failed': { data: { final: false, retries: 2, maxRetries: 3, error: { message: 'boom' } } },
  'task.reassigned': { data: { reason: 'crash' } },
  'task.refused': { data: { reason: 'a newer hand-out is known', outcome: 'task.completed' } },
  'task.cancelled': {},
  'task.deleted': {},
  'worker.created': { workerId: 'worker-5', pool: 'default' },
  'worker.ready': { workerId: 'worker-5', pool: 'default' },
  'worker.hung': { workerId: 'worker-5', pool: 'default' },
  'worker.lost': { workerId: 'worker-5', pool: 'default', data: { reason: 'exit status 1' } },
  'worker.stopped': { workerId: 'worker-5', pool: 'default' },
  'pool.scaled': { pool: 'default', data: { from: 4, to: 6, reason: 'backlog' } },
  'pool.changed': { pool: 'default', data: { change: { max: 8 } } },
  'queue.paused': { data: { queue: 'mail' } },
  'queue.resumed': { data: { queue: 'mail' } },
  'queue.changed': { data: { queue: 'mail', change: { maxConcurrent: 4 } } },
  'system.status': { data: { status: 'High Load', previous: 'Stable' } },
  audit: { data: { actor: 'ana', action: 'queue.pause', target: 'mail' } },
}

describe('describeEvent', () => {
  it('knows every event of the contract', () => {
    expect([...knownEvents].sort()).toEqual(Object.keys(samples).sort())
  })

  it.each(Object.entries(samples))('%s is said in both languages from its data', (event, part) => {
    const sample = makeEvent({ event, description: 'unused', data: {}, ...part })
    for (const language of [en, es]) {
      const text = describeEvent(sample, language)
      expect(text).not.toMatch(/[{}]{1}\w+[|}]|unused|undefined|null/)
      if (sample.taskId) expect(text).toContain(event.startsWith('task.') ? 'task-104' : '')
    }
    expect(describeEvent(sample, es)).not.toBe(describeEvent(sample, en))
    expect(eventName(event, es)).not.toBe(event)
  })

  it('says progress in words where no percentage is known', () => {
    expect(describeEvent(makeEvent({ event: 'task.progress', data: { message: 'row 4' } }), en)).toBe('task-104: row 4')
  })

  it('reads as in the seed', () => {
    const failed = makeEvent({ event: 'task.failed', data: { final: false, retries: 2, maxRetries: 3 } })
    expect(describeEvent(failed, es)).toBe('task-104 falló; reintentando (2/3)')
    expect(describeEvent(makeEvent({ event: 'worker.created', workerId: 'worker-5', pool: 'default' }), es)).toBe('worker-5 añadido al pool default')
    expect(describeEvent(makeEvent({ event: 'task.started', taskId: 'task-112', workerId: 'worker-3' }), es)).toBe('task-112 asignada a worker-3')
    expect([eventName('worker.created', es), eventName('task.started', es), eventName('task.failed', es)]).toEqual(['Worker creado', 'Tarea iniciada', 'Tarea fallida'])
  })

  it('falls back to the description for an event it does not know', () => {
    expect(describeEvent(makeEvent({ event: 'task.painted', description: 'task-104 painted blue' }), es)).toBe('task-104 painted blue')
    expect(eventName('task.painted', es)).toBe('task.painted')
  })
})

it('tells failures from what will be tried again', () => {
  expect(isFailure(makeEvent({ event: 'task.failed', data: { final: false } }))).toBe(false)
  expect(isFailure(makeEvent({ event: 'task.failed', data: { final: true } }))).toBe(true)
  expect(isFailure(makeEvent({ event: 'worker.lost' }))).toBe(true)
})
