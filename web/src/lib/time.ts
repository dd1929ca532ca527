/** Epoch milliseconds of an RFC 3339 time. */
export const instant = (iso: string): number => Date.parse(iso)
export const instantOrNull = (iso: string | null): number | null => (iso === null ? null : Date.parse(iso))
