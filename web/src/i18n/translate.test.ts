import { describe, expect, it } from 'vitest'
import { translate } from './translate'

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
