import { formatNumber, locales, translate, type Language } from '@/i18n/translate'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** A duration in the unit that fits: 0.4 ms · 958 ms · 1,204 ms · 12.3 s · 3 m 12 s · 2 h 5 m · 3 d 4 h. */
export function duration(language: Language, ms: number): string {
  const n = (value: number) => formatNumber(language, value)
  if (ms < 10) return `${n(Math.round(ms * 10) / 10)} ms`
  if (ms < 10_000) return `${n(Math.round(ms))} ms`
  if (ms < minute) return `${n(Math.round(ms / 100) / 10)} s`
  if (ms < hour) return pair(ms, minute, 1000, 'm', 's')
  if (ms < day) return pair(ms, hour, minute, 'h', 'm')
  return pair(ms, day, hour, 'd', 'h')
}

/** A round duration in its largest unit, for the narrow room beside an axis: 20 ms · 1.5 s · 2 m. */
export function shortDuration(language: Language, ms: number): string {
  const n = (value: number) => formatNumber(language, value)
  if (ms < 1000) return `${n(ms)} ms`
  if (ms < minute) return `${n(ms / 1000)} s`
  return ms < hour ? `${n(ms / minute)} m` : `${n(ms / hour)} h`
}

/** Whole units, for what ticks: 4 s · 3 m · 2 h · 5 d. */
export function age(ms: number): string {
  if (ms < minute) return `${Math.max(0, Math.floor(ms / 1000))} s`
  if (ms < hour) return `${Math.floor(ms / minute)} m`
  if (ms < day) return `${Math.floor(ms / hour)} h`
  return `${Math.floor(ms / day)} d`
}

/** "4 s ago", "in 3 m". */
export function relative(language: Language, at: number, now: number): string {
  const ago = now - at
  if (Math.abs(ago) < 1000) return translate(language, 'time.now')
  return translate(language, ago > 0 ? 'time.ago' : 'time.in', { age: age(Math.abs(ago)) })
}

const clocks = new Map<string, Intl.DateTimeFormat>()

function formatter(language: Language, kind: 'clock' | 'minute' | 'full' | 'day'): Intl.DateTimeFormat {
  const key = `${language}.${kind}`
  const known = clocks.get(key)
  if (known) return known
  const options: Record<typeof kind, Intl.DateTimeFormatOptions> = {
    clock: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
    minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    day: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    full: { year: 'numeric', month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' },
  }
  const made = new Intl.DateTimeFormat(locales[language], options[kind])
  clocks.set(key, made)
  return made
}

/** hh:mm:ss, in the reader's time zone. */
export const clock = (language: Language, at: number): string => formatter(language, 'clock').format(at)
export const clockMinute = (language: Language, at: number): string => formatter(language, 'minute').format(at)
export const fullTime = (language: Language, at: number): string => formatter(language, 'full').format(at)

/** The clock alone for today's times, with the day for older ones. */
export function eventTime(language: Language, at: number, now: number): string {
  return new Date(at).toDateString() === new Date(now).toDateString() ? clock(language, at) : formatter(language, 'day').format(at)
}

/** `1.2k`, `3.4M`: for figures that must not widen. */
export function short(language: Language, value: number): string {
  return new Intl.NumberFormat(locales[language], { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

function pair(ms: number, big: number, small: number, bigUnit: string, smallUnit: string): string {
  const bigs = Math.floor(ms / big)
  const smalls = Math.floor((ms % big) / small)
  return smalls === 0 ? `${bigs} ${bigUnit}` : `${bigs} ${bigUnit} ${smalls} ${smallUnit}`
}
