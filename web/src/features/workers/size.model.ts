const most = 100_000

/** The size that two inputs say; null where it is none that the API takes. */
export function readSize(min: string, max: string): { min: number; max: number } | null {
  const [least, largest] = [whole(min), whole(max)]
  if (least === null || largest === null || largest < 1 || least > largest) return null
  return { min: least, max: largest }
}

function whole(text: string): number | null {
  const value = /^\d{1,6}$/.test(text.trim()) ? Number(text) : NaN
  return value <= most ? value : null
}
