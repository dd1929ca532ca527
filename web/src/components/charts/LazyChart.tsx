import { lazy, Suspense } from 'react'
import { Boundary } from '@/components/errors'
import { useI18n } from '@/i18n/context'
import type { TimeChartProps } from './TimeChart'

// The chart library comes when the first chart is to be drawn.
const TimeChart = lazy(() => import('./TimeChart'))
const legendHeight = 30

/** A chart in a room that is kept for it from the beginning, so that nothing jumps. */
export function LazyChart(props: TimeChartProps) {
  const { t } = useI18n()
  const room = <div style={{ height: props.height + legendHeight }} />
  return (
    <Boundary fallback={() => <p className="empty-line" style={{ height: props.height + legendHeight }}>{t('chart.failed')}</p>}>
      <Suspense fallback={room}>
        <TimeChart {...props} />
      </Suspense>
    </Boundary>
  )
}
