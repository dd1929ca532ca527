import { describe, expect, it } from 'vitest'
import { en, type Key } from './en'
import { es } from './es'
import { translate } from './translate'

/** Words that are the same in both languages: names, units, symbols. */
const same = new Set<Key>([
  'app.name', 'nav.workers', 'live.rate', 'figure.perMinute', 'figure.p50', 'task.payload', 'task.logs', 'task.pool', 'task.fence',
  'workers.id', 'workers.cpu', 'workers.memory', 'workers.pool', 'pools.title', 'queues.perSecond', 'events.kind.worker',
  'events.kind.pool', 'say.audit', 'common.dash', 'problem.field', 'signin.token',
])
const keys = Object.keys(en) as Key[]
const placeholders = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort()

describe('dictionaries', () => {
  it('have the same keys', () => {
    expect(Object.keys(es).sort()).toEqual([...keys].sort())
  })

  it.each(keys)('%s is said in both languages', (key) => {
    expect(en[key].trim()).not.toBe('')
    expect(es[key].trim()).not.toBe('')
    if (same.has(key)) expect(es[key]).toBe(en[key])
    else expect(es[key]).not.toBe(en[key])
  })

  it.each(keys)('%s uses the same values in both languages', (key) => {
    expect(placeholders(es[key])).toEqual(placeholders(en[key]))
  })
})

describe('translate', () => {
  it('groups numbers and picks the plural', () => {
    expect(translate('en', 'tasks.count', { n: 1 })).toBe('1 task')
    expect(translate('en', 'tasks.count', { n: 12_400 })).toBe('12,400 tasks')
    expect(translate('es', 'tasks.count', { n: 1204 })).toBe('1,204 tareas')
  })

  it('leaves identifiers as they are', () => {
    expect(translate('es', 'say.started', { task: 'task-112', worker: 'worker-3' })).toBe('task-112 asignada a worker-3')
  })
})
