/**
 * Every text of the dashboard, one file per area. `{name}` is replaced by a value (numbers
 * in the language's own grouping); `{n|task|tasks}` picks by the number n. Spanish has the
 * same files with the same keys: the compiler and a test see to it.
 */
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
export const en = { ...shell, ...reasons, ...common, ...overview, ...tasks, ...submit, ...task, ...workers, ...queues, ...events }

export type Key = keyof typeof en
