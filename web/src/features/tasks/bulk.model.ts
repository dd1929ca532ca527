/** Acting on many tasks at once: what is asked for, and how far it has come. */
import { bulk, type BulkScope, type BulkVerb } from '@/data/tasks/actions'
import { isFiltered } from '@/data/tasks/filter'
import type { TaskFilter } from '@/data/tasks/types'

/** The states each verb is for; the API leaves out the others by itself. */
const states: Record<BulkVerb, string> = {
  cancel: 'scheduled,pending,inProgress,retrying',
  retry: 'failed,cancelled',
  delete: 'completed,failed,cancelled',
}

export const bulkVerbs: readonly BulkVerb[] = ['cancel', 'retry', 'delete']

/** Everything at all is named by the states, since the API wants at least one filter. */
export const scopeOf = (verb: BulkVerb, filter: TaskFilter): TaskFilter => (isFiltered(filter) ? filter : { status: states[verb] })

const firstLookMs = 400
const lastLookMs = 15_000

export interface BulkOutcome {
  /** How many were asked for. */
  asked: number
  /** How many of them it could still be applied to when last looked: not done yet. */
  left: number
}

/**
 * Asks for it, and then looks until it is done or has taken long: what was cancelled, run
 * again or deleted can no longer be, so a count of those that still can tells how many are left.
 */
export async function act(verb: BulkVerb, scope: BulkScope, wait: (ms: number) => Promise<void> = sleep): Promise<BulkOutcome> {
  const { matched: asked } = await bulk(verb, scope, false)
  let left = asked
  let waited = 0
  for (let pause = firstLookMs; left > 0 && waited < lastLookMs; pause = Math.min(pause * 2, 3000)) {
    await wait(pause)
    waited += pause
    left = Math.min(asked, (await bulk(verb, scope, true)).matched)
  }
  return { asked, left }
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
