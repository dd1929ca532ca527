import type { Key } from '../en'
import { common } from './common'
import { events } from './events'
import { overview } from './overview'
import { queues } from './queues'
import { shell } from './shell'
import { submit } from './submit'
import { task } from './task'
import { tasks } from './tasks'
import { reasons } from './reasons'
import { workers } from './workers'

export const areas = { shell, reasons, common, overview, tasks, submit, task, workers, queues, events }
export const es: Record<Key, string> = { ...shell, ...reasons, ...common, ...overview, ...tasks, ...submit, ...task, ...workers, ...queues, ...events }
