import { useLive } from '@/data/live/hooks'
import { useI18n } from '@/i18n/context'
import { useNow } from '@/lib/now'

/** The server's time as well as this browser can tell it. */
export function useServerNow(): number {
  return useNow() - (useLive((data) => data.clockSkewMs) ?? 0)
}

/** A time, relative while recent; the exact one is in the tooltip and is copied on click. */
export function Ago({ at }: { at: number | null }) {
  const i18n = useI18n()
  const now = useServerNow()
  if (at === null) return <span className="muted">{i18n.t('common.dash')}</span>
  return (
    <Stamp at={at}>{i18n.relative(at, now)}</Stamp>
  )
}

/** A time of the clock, with its day where it is not today's. */
export function Clock({ at }: { at: number }) {
  const i18n = useI18n()
  return <Stamp at={at}>{i18n.eventTime(at, useServerNow())}</Stamp>
}

function Stamp({ at, children }: { at: number; children: string }) {
  const i18n = useI18n()
  const iso = new Date(at).toISOString()
  return (
    <time dateTime={iso} title={i18n.t('common.copyTime', { time: i18n.fullTime(at) })} onClick={() => void navigator.clipboard.writeText(iso).catch(() => undefined)}>
      {children}
    </time>
  )
}
