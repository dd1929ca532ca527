import type { ReactNode } from 'react'
import { useI18n } from '@/i18n/context'
import { latest } from './model'
import type { Curve, Mark } from './plot'

interface LegendProps {
  curves: Curve[]
  swatches: boolean
  at: number | undefined
  index: number
  mark: Mark | null
  format: (value: number) => string
}

/** The values at the moment pointed at, else the newest; what is marked there, in words. */
export function Legend({ curves, swatches, at, index, mark, format }: LegendProps) {
  const i18n = useI18n()
  return (
    <figcaption className="legend">
      {curves.map((curve) => {
        const value = curve.values[index] ?? null
        return (
          <span key={curve.name} className="legend-item">
            {swatches && <i style={{ background: curve.color }} />}
            {curve.label}
            <b>{value === null ? i18n.t('common.dash') : format(value)}</b>
          </span>
        )
      })}
      <span className="legend-time muted">
        {mark ? (
          <span style={{ color: mark.color }}>
            {i18n.clock(mark.at)} {mark.label}
          </span>
        ) : (
          at !== undefined && i18n.clockMinute(at)
        )}
      </span>
    </figcaption>
  )
}

/** More rows than these are no help to anyone who hears them read. */
const mostRows = 30

interface ValueTableProps {
  label: string
  at: number[]
  curves: Curve[]
  /** One row a curve with its last value, where a table of all would be endless. */
  latestOnly: boolean
  format: (value: number) => string
}

/** The same figures for those who do not see the chart. */
export function ValueTable({ label, at, curves, latestOnly, format }: ValueTableProps) {
  const i18n = useI18n()
  const text = (value: number | null | undefined) => (value === null || value === undefined ? i18n.t('common.dash') : format(value))
  if (latestOnly) {
    return (
      <Hidden label={label}>
        <tbody>
          {curves.map((curve) => (
            <tr key={curve.name}>
              <th scope="row">{curve.label}</th>
              <td>{text(latest(curve.values))}</td>
            </tr>
          ))}
        </tbody>
      </Hidden>
    )
  }
  const every = Math.max(1, Math.ceil(at.length / mostRows))
  return (
    <Hidden label={label}>
      <thead>
        <tr>
          <th>{i18n.t('chart.time')}</th>
          {curves.map((curve) => (
            <th key={curve.name}>{curve.label}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {at.map((time, i) =>
          (at.length - 1 - i) % every === 0 ? (
            <tr key={time}>
              <td>{i18n.clockMinute(time)}</td>
              {curves.map((curve) => (
                <td key={curve.name}>{text(curve.values[i])}</td>
              ))}
            </tr>
          ) : null,
        )}
      </tbody>
    </Hidden>
  )
}

/** In a box, since a table is always as high as its rows. */
function Hidden({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="visually-hidden">
      <table>
        <caption>{label}</caption>
        {children}
      </table>
    </div>
  )
}
