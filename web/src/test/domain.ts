/** Domain objects, made from the wire's factories by the real mappers. */
import { toEvent } from '@/data/events/mapper'
import type { Event } from '@/data/events/types'
import { toTask } from '@/data/tasks/mapper'
import type { Series } from '@/data/stats/types'
import type { Task, TaskDetail } from '@/data/tasks/types'
import * as wire from '@/wire/schemas'
import { eventJson, taskJson } from './wire'

export const makeTask = (part: Partial<Task> = {}): Task => ({ ...toTask(wire.Task.parse(taskJson())), ...part })

export const makeTaskDetail = (part: Partial<TaskDetail> = {}): TaskDetail => ({
  ...makeTask(),
  payload: 'null',
  result: 'null',
  payloadExpired: false,
  history: [],
  historyTruncated: false,
  askedAt: 0,
  ...part,
})

export const makeEvent = (part: Partial<Event> = {}): Event => ({ ...toEvent(wire.Event.parse(eventJson())), ...part })

export const makeSeries = (part: Partial<Series> = {}): Series => ({
  from: 0,
  stepMs: 5000,
  tasks: {},
  types: {},
  waiting: {},
  counts: {},
  queueLatencyMs: { p50: [], p99: [] },
  averageExecutionTimeMs: [],
  workers: {},
  marks: [],
  ...part,
})
