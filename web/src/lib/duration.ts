/** Durations as people write them in a field: `500 ms`, `1.5s`, `1h 30m`; a bare number is milliseconds. */
const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds, or null where it cannot be read as a duration. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed)
  if (!/^(\d+(\.\d+)?\s*(ms|s|min|m|h|d)\s*)+$/.test(trimmed)) return null
  let total = 0
  for (const [, figure, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)/g)) total += Number(figure) * (units[unit ?? ''] ?? 0)
  return Math.round(total * 1000) / 1000
}

/** The shortest exact writing that parseDuration reads back: `90s` is `1m 30s`, `3600000` is `1h`. */
export function writeDuration(ms: number): string {
  if (ms === 0) return '0ms'
  const parts: string[] = []
  let rest = ms
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const size = units[unit] ?? 1
    const n = unit === 'ms' ? rest : Math.floor(rest / size)
    if (n > 0) parts.push(`${n}${unit}`)
    rest -= n * size
  }
  return parts.join(' ')
}
