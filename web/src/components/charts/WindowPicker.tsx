import { Link } from '@tanstack/react-router'
import { usualWindow } from '@/data/stats/queries'
import { windows, type Window } from '@/data/stats/types'
import { useI18n } from '@/i18n/context'

/** Which stretch of time the charts of a page show; it is in the page's address. */
export function WindowPicker({ current }: { current: Window }) {
  const { t } = useI18n()
  return (
    <div className="segments" role="group" aria-label={t('chart.window')}>
      {windows.map((option) => (
        <Link
          key={option}
          to="."
          search={(now) => ({ ...now, window: option === usualWindow ? undefined : option })}
          replace
          resetScroll={false}
          className="segment"
          activeOptions={{ exact: true, includeSearch: true, explicitUndefined: true }}
          data-chosen={option === current}
        >
          {option}
        </Link>
      ))}
    </div>
  )
}
