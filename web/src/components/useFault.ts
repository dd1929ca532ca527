import { useI18n } from '@/i18n/context'
import { isKey } from '@/i18n/translate'

/** What is wrong with a field: our own rules are keys, those of the API are sentences. */
export function useFault(): (message: string | undefined) => string | undefined {
  const { t } = useI18n()
  return (message) => (message === undefined ? undefined : isKey(message) ? t(message) : message)
}
