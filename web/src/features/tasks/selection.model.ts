/** Which tasks are chosen to act on: some by id, or everything that matches. Pure. */
import type { Task } from '@/data/tasks/types'

export interface Selection {
  /** Everything that matches the filter, also what is not read yet. */
  all: boolean
  ids: ReadonlySet<string>
  /** Where a range begins: the row chosen last. */
  anchor: string | null
}

export const nothing: Selection = { all: false, ids: new Set(), anchor: null }
export const everything: Selection = { all: true, ids: new Set(), anchor: null }

export const isChosen = (selection: Selection, id: string): boolean => selection.all || selection.ids.has(id)
export const isEmpty = (selection: Selection): boolean => !selection.all && selection.ids.size === 0

/** Taking one out of everything leaves the other rows that are there. */
export function toggle(selection: Selection, id: string, rows: readonly Task[]): Selection {
  const ids = new Set(selection.all ? rows.map((task) => task.id) : selection.ids)
  if (!ids.delete(id)) ids.add(id)
  return { all: false, ids, anchor: id }
}

/** Chooses all rows from the anchor to this one, both included. */
export function extend(selection: Selection, id: string, rows: readonly Task[]): Selection {
  const from = rows.findIndex((task) => task.id === selection.anchor)
  const to = rows.findIndex((task) => task.id === id)
  if (from < 0 || to < 0) return toggle(selection, id, rows)
  const range = rows.slice(Math.min(from, to), Math.max(from, to) + 1)
  return { all: false, ids: new Set([...selection.ids, ...range.map((task) => task.id)]), anchor: selection.anchor }
}
