import { useMemo, useSyncExternalStore } from 'react'
import { clock, clockMinute, duration, eventTime, fullTime, relative, short, shortDuration } from '@/lib/format'
import { preference } from '@/lib/preference'
import type { Key } from './en'
import { formatNumber, languages, translate, type Language, type Params } from './translate'

export const languagePreference = preference<Language>('batuta.language', languages, () => (navigator.language.toLowerCase().startsWith('es') ? 'es' : 'en'))

export interface I18n {
  language: Language
  t: (key: Key, params?: Params) => string
  number: (value: number) => string
  short: (value: number) => string
  duration: (ms: number) => string
  shortDuration: (ms: number) => string
  relative: (at: number, now: number) => string
  clock: (at: number) => string
  clockMinute: (at: number) => string
  eventTime: (at: number, now: number) => string
  fullTime: (at: number) => string
}

export function i18n(language: Language): I18n {
  return {
    language,
    t: (key, params) => translate(language, key, params),
    number: (value) => formatNumber(language, value),
    short: (value) => short(language, value),
    duration: (ms) => duration(language, ms),
    shortDuration: (ms) => shortDuration(language, ms),
    relative: (at, now) => relative(language, at, now),
    clock: (at) => clock(language, at),
    clockMinute: (at) => clockMinute(language, at),
    eventTime: (at, now) => eventTime(language, at, now),
    fullTime: (at) => fullTime(language, at),
  }
}

export function useI18n(): I18n {
  const language = useSyncExternalStore(languagePreference.subscribe, languagePreference.get)
  return useMemo(() => i18n(language), [language])
}
