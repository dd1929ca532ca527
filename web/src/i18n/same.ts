import type { Key } from './en'

/** Texts that read the same in both languages (names, units, symbols), by area. All others must differ. */
export const same: Record<string, readonly Key[]> = {
  shell: ['app.name', 'nav.workers', 'live.rate', 'signin.token', 'top.signedIn', 'palette.workers'],

  common: ['common.dash', 'problem.field'],

  overview: ['figure.perMinute', 'figure.p50', 'chart.p50', 'chart.p99'],

  reasons: [],

  tasks: [],

  submit: [],

  task: ['task.payload', 'task.logs', 'task.pool', 'task.fence'],

  workers: ['workers.id', 'workers.cpu', 'workers.memory', 'workers.pool', 'pools.title'],

  queues: ['queues.perSecond'],

  events: ['events.kind.worker', 'events.kind.pool', 'say.progressInWords', 'say.audit', 'events.minutes', 'events.hour'],
}
