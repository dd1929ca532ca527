/** Where a text stops being JSON. Engines say that in their own words or not at all, so it is found here. */
export interface JsonFault {
  line: number
  column: number
}

const literal = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\\p{Cc}]|\u007f|[\u0080-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const space = /[ \t\r\n]*/y

/** The place of the first fault, or null where the text is JSON. */
export function jsonFault(text: string): JsonFault | null {
  const at = new Reader(text).read()
  if (at === null) return null
  const before = text.slice(0, at).split('\n')
  return { line: before.length, column: (before[before.length - 1]?.length ?? 0) + 1 }
}

class Reader {
  private at = 0
  constructor(private readonly text: string) {}

  read(): number | null {
    const fine = this.value() && this.at === this.text.length
    return fine ? null : this.at
  }

  /** A value with the space around it; false leaves the place of the fault. */
  private value(): boolean {
    this.take(space)
    const fine = this.text[this.at] === '{' ? this.items('}', () => this.member()) : this.text[this.at] === '[' ? this.items(']', () => this.value()) : this.take(literal)
    if (fine) this.take(space)
    return fine
  }

  private items(end: string, item: () => boolean): boolean {
    this.at++
    this.take(space)
    if (this.is(end)) return true
    for (;;) {
      if (!item()) return false
      if (this.is(end)) return true
      if (!this.is(',')) return false
    }
  }

  private member(): boolean {
    this.take(space)
    if (this.text[this.at] !== '"' || !this.take(literal)) return false
    this.take(space)
    return this.is(':') && this.value()
  }

  private is(char: string): boolean {
    if (this.text[this.at] !== char) return false
    this.at++
    return true
  }

  private take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (!found) return false
    this.at = pattern.lastIndex
    return true
  }
}
