/**
 * The reasons that services give are English sentences. Those they are known to give are
 * recognised here and said in the reader's language; any other is shown as it came.
 */
import type { I18n } from '@/i18n/context'
import type { Key } from '@/i18n/en'
import { isKey, type Params } from '@/i18n/translate'

interface Pattern {
  form: RegExp
  key: Key
  /** Names of the form's groups, in order; a name that begins with # is a number. */
  parts: readonly string[]
}

const number = String.raw`(\d+(?:\.\d+)?(?:e[+-]?\d+)?)`
const time = String.raw`(\d\S*)`
const word = String.raw`(\S+)`
const form = (source: string) => new RegExp(`^${source}$`)

const patterns: readonly Pattern[] = [
  { form: form(`${number} waiting and ${number} running at ${time} a task`), key: 'why.backlog', parts: ['#waiting', '#running', 'each'] },
  { form: form(`${number} waiting and ${number} running, time a task takes unknown`), key: 'why.backlogUnknown', parts: ['#waiting', '#running'] },
  { form: form('nothing to do'), key: 'why.nothing', parts: [] },
  { form: form('the pool is paused'), key: 'why.poolPaused', parts: [] },
  { form: form(`the maximum is ${number}`), key: 'why.maximum', parts: ['#n'] },
  { form: form(`the minimum is ${number}`), key: 'why.minimum', parts: ['#n'] },
  { form: form(`the most that was needed in the last ${time}`), key: 'why.most', parts: ['time'] },
  { form: form(`(.+) was lost at ${word} UTC`), key: 'why.lost', parts: ['what', 'time'] },
  { form: form(`a process of pool ${word}`), key: 'why.poolProcess', parts: ['pool'] },
  { form: form(`${number} of its tasks are not running again yet`), key: 'why.notRunning', parts: ['#n'] },
  { form: form(`${number} waiting`), key: 'why.allBusy', parts: ['#waiting'] },
  { form: form(`all ${number} workers of pool ${word} are busy, and that is its maximum`), key: 'why.atMaximum', parts: ['#n', 'pool'] },
  { form: form(`${number} waiting, ${number} s at the current rate of ${number} a second`), key: 'why.rate', parts: ['#waiting', '#seconds', '#rate'] },
  { form: form(`${number} waiting, the oldest for ${number} s, and none is started`), key: 'why.oldest', parts: ['#waiting', '#seconds'] },
  { form: form(`${number} waiting, ${number} running`), key: 'why.stable', parts: ['#waiting', '#running'] },
  { form: form(`silent for ${time}`), key: 'why.silent', parts: ['time'] },
  { form: form(`hung: silent for ${time}`), key: 'why.hung', parts: ['time'] },
  { form: form('killed by an operator'), key: 'why.killed', parts: [] },
  { form: form('drained'), key: 'why.drained', parts: [] },
  { form: form('did not end when it was drained'), key: 'why.notDrained', parts: [] },
  { form: form('the pool stops'), key: 'why.poolStops', parts: [] },
  { form: form(`exited with code ${number}`), key: 'why.exit', parts: ['n'] },
  { form: form('ended by signal: (.+)'), key: 'why.signal', parts: ['signal'] },
  { form: form(`killed: it did not yield ${word} \\((.+)\\) within ${time}`), key: 'why.notYielded', parts: ['task', 'why', 'time'] },
  { form: form('lost: its heartbeat ended'), key: 'why.noHeartbeat', parts: [] },
  { form: form('stopped'), key: 'why.stopped', parts: [] },
  { form: form(`the next one is started in ${time}, since several ended at once`), key: 'why.next', parts: ['time'] },
  { form: form('cannot be started: (.+)'), key: 'why.notStarted', parts: ['detail'] },
  { form: form(`(.+) \\((viewer|submitter|operator|admin)\\) from ${word}`), key: 'why.by', parts: ['name', 'role', 'address'] },
]

export function sayReason(reason: string, i18n: I18n): string {
  const key = `reason.${reason}`
  if (isKey(key)) return i18n.t(key)
  // Reasons are joined by semicolons; what is not known stays as it is.
  return reason.split('; ').map((part) => clause(part, i18n) ?? part).join('; ')
}

function clause(text: string, i18n: I18n): string | null {
  for (const { form, key, parts } of patterns) {
    const found = form.exec(text)
    if (found) return i18n.t(key, Object.fromEntries(parts.map((name, i) => part(name, found[i + 1] ?? '', i18n))))
  }
  return null
}

function part(name: string, value: string, i18n: I18n): [string, Params[string]] {
  if (name.startsWith('#')) return [name.slice(1), Number(value)]
  return [name, name === 'what' ? (clause(value, i18n) ?? value) : value]
}
