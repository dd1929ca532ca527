import { expect, it } from 'vitest'
import { i18n } from '@/i18n/context'
import { makeEvent } from '@/test/domain'
import { toMarks } from './marks'

it('gathers failures that stand at one place, and leaves scalings apart', () => {
  const failed = (timestamp: number) => makeEvent({ event: 'task.failed', timestamp, data: { final: true, error: { message: 'boom' } } })
  const scaled = makeEvent({ event: 'pool.scaled', timestamp: 1200, taskId: null, pool: 'default', data: { from: 1, to: 2, reason: 'nothing to do' } })
  const marks = toMarks([failed(1000), failed(1100), failed(50_000), scaled], 120_000, i18n('es'))
  expect(marks.map(({ at, small, label }) => [at, small, label])).toEqual([
    [1000, true, 'task-104 falló definitivamente: boom (y 1 más)'],
    [50_000, true, 'task-104 falló definitivamente: boom'],
    [1200, false, 'pool default escalado de 1 a 2 workers: no hay nada que hacer'],
  ])
})
