/** Single keys and pairs of keys, told apart from typing. Pure but for the clock it is given. */

export type Shortcut = { kind: 'palette' } | { kind: 'help' } | { kind: 'pause' } | { kind: 'search' } | { kind: 'page'; key: string }

export interface Press {
  key: string
  ctrl: boolean
  meta: boolean
  alt: boolean
  /** Whether the key goes into a text. */
  typing: boolean
}

/** How long after a `g` its second key counts. */
export const pairMs = 1200

/** Reads one press after another. */
export class KeyReader {
  private goAt = -Infinity

  constructor(private readonly pageKeys: readonly string[]) {}

  read({ key, ctrl, meta, alt, typing }: Press, now: number): Shortcut | null {
    if ((ctrl || meta) && !alt && key.toLowerCase() === 'k') return { kind: 'palette' }
    if (ctrl || meta || alt || typing) return null
    const second = now - this.goAt < pairMs
    this.goAt = -Infinity
    if (second) return this.pageKeys.includes(key) ? { kind: 'page', key } : null
    switch (key) {
      case 'g':
        this.goAt = now
        return null
      case '?':
        return { kind: 'help' }
      case 'p':
        return { kind: 'pause' }
      case '/':
        return { kind: 'search' }
      default:
        return null
    }
  }
}
