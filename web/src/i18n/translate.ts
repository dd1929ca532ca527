/**
 * A typed dictionary instead of a library: two languages of a few kilobytes need no
 * loading, and a key that does not exist, or is missing in Spanish, does not compile.
 */
import { en, type Key } from './en'
import { es } from './es'

export const languages = ['en', 'es'] as const
export type Language = (typeof languages)[number]
export type Params = Record<string, string | number>

/** Latin American Spanish, whose figures read 1,204.5. */
export const locales: Record<Language, string> = { en: 'en', es: 'es-419' }
const dictionaries: Record<Language, Record<Key, string>> = { en, es }

const numbers = Object.fromEntries(languages.map((language) => [language, new Intl.NumberFormat(locales[language], { maximumFractionDigits: 1, useGrouping: 'always' })])) as Record<Language, Intl.NumberFormat>

export const formatNumber = (language: Language, value: number): string => numbers[language].format(value)

export function translate(language: Language, key: Key, params: Params = {}): string {
  return dictionaries[language][key].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, other?: string) => {
    const value = params[name]
    if (value === undefined) return whole
    if (one !== undefined && other !== undefined) return value === 1 ? one : other
    return typeof value === 'number' ? formatNumber(language, value) : value
  })
}

export const isKey = (text: string): text is Key => Object.hasOwn(en, text)
