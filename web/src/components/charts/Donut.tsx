import type { Slice } from './model'

const radius = 42
const round = 2 * Math.PI * radius

/** Shades of one colour: which type is which is said by the list beside it. */
export const shade = (index: number): string => `color-mix(in srgb, var(--accent) ${[100, 72, 50, 34, 22, 14, 9][index] ?? 9}%, var(--rule))`

export function Donut({ label, slices, center }: { label: string; slices: Slice[]; center: string }) {
  return (
    <svg className="donut" viewBox="0 0 120 120" role="img" aria-label={label}>
      <circle cx="60" cy="60" r={radius} className="donut-ground" />
      {slices.map((slice, i) => {
        const gap = slices.length > 1 ? 1.5 : 0
        const length = Math.max(slice.share * round - gap, 0.5)
        const offset = -round * slices.slice(0, i).reduce((sum, before) => sum + before.share, 0)
        return <circle key={slice.name} cx="60" cy="60" r={radius} style={{ stroke: shade(i) }} strokeDasharray={`${length} ${round - length}`} strokeDashoffset={offset} className="donut-slice" />
      })}
      <text x="60" y="65" textAnchor="middle" className="donut-center">
        {center}
      </text>
    </svg>
  )
}
