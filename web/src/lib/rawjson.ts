/**
 * JSON as text. A payload is shown as it was submitted: JSON.parse would round integers
 * above 2^53 and drop the zeros of 1.50, so these functions move bytes and never values.
 */

/** Members of the outermost object, each with its value's text as written. */
export function rawMembers(text: string): Map<string, string> {
  const members = new Map<string, string>()
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return members
  at = skipSpace(text, at + 1)
  while (at < text.length && text[at] !== '}') {
    const keyEnd = endOfString(text, at)
    const key = JSON.parse(text.slice(at, keyEnd)) as string
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const end = endOfValue(text, start)
    members.set(key, text.slice(start, end))
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return members
}

export interface RawEntry {
  /** The key as written, with its quotes; null in an array. */
  key: string | null
  text: string
}

/** Members of an object or items of an array, as written; null for what has none. */
export function rawEntries(text: string): RawEntry[] | null {
  let at = skipSpace(text, 0)
  const object = text[at] === '{'
  if (!object && text[at] !== '[') return null
  const entries: RawEntry[] = []
  at = skipSpace(text, at + 1)
  while (at < text.length && text[at] !== '}' && text[at] !== ']') {
    let key: string | null = null
    if (object) {
      const keyEnd = endOfString(text, at)
      key = text.slice(at, keyEnd)
      at = skipSpace(text, skipSpace(text, keyEnd) + 1)
    }
    const end = endOfValue(text, at)
    entries.push({ key, text: text.slice(at, end) })
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return entries
}

/** The same value, indented by two spaces; numbers and strings keep their spelling. */
export function indentJson(text: string): string {
  const out: string[] = []
  let depth = 0
  let at = 0
  const newline = () => out.push('\n' + '  '.repeat(depth))
  while ((at = skipSpace(text, at)) < text.length) {
    const char = text[at] ?? ''
    if (char === '{' || char === '[') {
      const inside = skipSpace(text, at + 1)
      if (text[inside] === '}' || text[inside] === ']') {
        out.push(char + (text[inside] ?? ''))
        at = inside + 1
        continue
      }
      out.push(char)
      depth++
      newline()
      at++
    } else if (char === '}' || char === ']') {
      depth--
      newline()
      out.push(char)
      at++
    } else if (char === ',') {
      out.push(char)
      newline()
      at++
    } else if (char === ':') {
      out.push(': ')
      at++
    } else {
      const end = char === '"' ? endOfString(text, at) : endOfWord(text, at)
      out.push(text.slice(at, end))
      at = end
    }
  }
  return out.join('')
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && ' \n\r\t'.includes(text.charAt(at))) at++
  return at
}

function endOfString(text: string, at: number): number {
  at++
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return Math.min(at + 1, text.length)
}

/** End of a number, true, false or null. At least one character, so that callers advance. */
function endOfWord(text: string, at: number): number {
  const start = at
  while (at < text.length && !',]}: \n\r\t'.includes(text.charAt(at))) at++
  return Math.max(at, start + 1)
}

function endOfValue(text: string, at: number): number {
  const char = text[at]
  if (char === '"') return endOfString(text, at)
  if (char !== '{' && char !== '[') return endOfWord(text, at)
  let depth = 0
  while (at < text.length) {
    const here = text[at]
    if (here === '"') {
      at = endOfString(text, at)
      continue
    }
    if (here === '{' || here === '[') depth++
    if (here === '}' || here === ']') depth--
    at++
    if (depth === 0) break
  }
  return at
}
