/**
 * The list of tasks of one filter and order: pages read by cursor as they are scrolled to,
 * changed in place by what comes live. Rows never move by themselves. New ones are counted
 * and wait to be shown, unless the list follows; what no longer matches stays in its place
 * until the list is read again.
 */
import type { TaskChanges } from '../live/store'
import { matches, standsWithin } from './filter'
import type { Task, TaskFilter, TaskPage, TaskSort } from './types'

export interface TaskListOptions {
  filter: TaskFilter
  sort: TaskSort
  read: (cursor: string, limit: number, signal: AbortSignal) => Promise<TaskPage>
}

export interface TaskListState {
  rows: readonly Task[]
  /** Rows that no longer exist or no longer match. */
  left: ReadonlySet<string>
  /** All matches when last read, those that were shown since included. */
  total: number | null
  /** Matching tasks that came since and are not among the rows. */
  fresh: number
  /** More came than are counted one by one, or a gap was not told of. */
  freshOpen: boolean
  complete: boolean
  reading: 'first' | 'more' | 'again' | null
  error: unknown
}

const firstPage = 100
const nextPage = 500
/** A message may carry this many tasks; what is more was left out, and must be read. */
export const mostPerMessage = 500
/** New tasks are told apart by id up to this many. */
const mostFresh = 20_000
/** While following, the rows beyond this are given up: they are read again when scrolled to. */
const mostFollowed = 1500
const refreshEveryMs = 1500

const empty: TaskListState = { rows: [], left: new Set(), total: null, fresh: 0, freshOpen: false, complete: false, reading: null, error: null }

export class TaskList {
  private state: TaskListState = empty
  private readonly listeners = new Set<() => void>()
  /** Place of each row, counted so that rows put before the first do not move the others. */
  private places = new Map<string, number>()
  private first = 0
  private cursor: string | null = null
  /** Where each page began, by place, to read a part of the list again. */
  private pages: { place: number; cursor: string }[] = []
  private readonly fresh = new Map<string, Task>()
  private left = new Set<string>()
  /** What came while a page was on its way: the page may be older. */
  private during: Map<string, Task> | null = null
  /** Changes of rows while paused. */
  private readonly held = new Map<string, Task | null>()
  private paused = false
  private following = false
  private wanted = 0
  private shown: [number, number] = [0, 0]
  private timer: ReturnType<typeof setTimeout> | null = null
  private reading: AbortController | null = null

  constructor(private readonly options: TaskListOptions) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  readonly getState = (): TaskListState => this.state

  /** Which row a task has. */
  readonly indexOf = (id: string): number | undefined => {
    const place = this.places.get(id)
    return place === undefined ? undefined : place - this.first
  }

  /** Reads the beginning of the list: the first time, or anew in place of what there is. */
  readonly restart = async (): Promise<void> => {
    this.reading?.abort()
    await this.load(this.state.total === null ? 'first' : 'again', '', firstPage, (page) => this.replace(page))
    await this.fill()
  }

  /** Sees to it that the rows up to this one are read, page after page. */
  readonly reach = (index: number): void => {
    this.wanted = index
    void this.fill()
  }

  /** Which rows are in view: those are read again where live changes may have been left out. */
  readonly view = (from: number, to: number): void => {
    this.shown = [from, to]
  }

  readonly pause = (paused: boolean): void => {
    if (this.paused === paused) return
    this.paused = paused
    if (paused) return
    const held = [...this.held]
    this.held.clear()
    this.apply(held.flatMap(([, task]) => task ?? []), held.flatMap(([id, task]) => (task ? [] : [id])))
    this.follow(this.following)
  }

  /** New rows come in by themselves: what the page asks for while its top is in view. */
  readonly follow = (following: boolean): void => {
    this.following = following
    if (following && !this.paused && this.stale()) this.catchUp()
  }

  /** Shows what is new: puts it before the rows there are, or reads the list anew. */
  readonly show = async (): Promise<void> => {
    if (this.options.sort !== '-submittedAt' || this.state.freshOpen || this.left.size > 0 || this.fresh.size > mostPerMessage) return this.restart()
    this.prepend()
    return Promise.resolve()
  }

  /** Takes in what the live feed says. */
  readonly changed = (changes: TaskChanges): void => {
    if (this.state.total === null) {
      if (changes === 'snapshot') return
    } else if (changes === 'snapshot') return this.missed()
    if (this.during) for (const task of changes.upserted) this.during.set(task.id, task)
    if (this.state.total === null) return
    this.count(changes)
    if (this.paused) {
      for (const task of changes.upserted) if (this.places.has(task.id)) this.held.set(task.id, task)
      for (const id of changes.removed) if (this.places.has(id)) this.held.set(id, null)
      this.tell({})
      return
    }
    this.apply(changes.upserted, changes.removed)
    // First: what waits for the timer already is not replaced, and full messages would never let the list be cut.
    if (this.following && this.stale()) this.catchUp()
    if (changes.upserted.length >= mostPerMessage) this.soon(() => void this.reread())
  }

  /** Stops what is on its way; the rows stay. */
  readonly stop = (): void => {
    this.reading?.abort()
    this.reading = null
    if (this.timer) clearTimeout(this.timer)
    this.timer = null
  }

  private stale(): boolean {
    return this.fresh.size > 0 || this.left.size > 0 || this.state.freshOpen
  }

  /** Following: new rows go on top at once; the rest is read again, not too often. */
  private catchUp(): void {
    if (this.options.sort === '-submittedAt' && this.fresh.size > 0) this.prepend()
    const tooLong = this.state.rows.length > mostFollowed
    if (tooLong || this.left.size > 0 || this.state.freshOpen || this.fresh.size > 0) this.soon(() => this.following && void this.restart())
  }

  private soon(act: () => void): void {
    this.timer ??= setTimeout(() => {
      this.timer = null
      if (!this.paused && this.reading === null) act()
    }, refreshEveryMs)
  }

  /** The connection began anew: anything may have changed meanwhile. */
  private missed(): void {
    const [from] = this.shown
    if (from < firstPage && !this.paused) return void this.restart()
    this.tell({ freshOpen: true })
    void this.reread()
  }

  private count({ upserted, removed }: { upserted: readonly Task[]; removed: readonly string[] }): void {
    const last = this.cursor === null ? undefined : this.state.rows[this.state.rows.length - 1]
    for (const task of upserted) {
      if (this.places.has(task.id)) continue
      if (!matches(task, this.options.filter)) this.fresh.delete(task.id)
      else if (this.fresh.has(task.id) || (this.fresh.size < mostFresh && standsWithin(task, last, this.options.sort))) this.fresh.set(task.id, task)
    }
    for (const id of removed) this.fresh.delete(id)
  }

  private apply(upserted: readonly Task[], removed: readonly string[]): void {
    const changed = upserted.filter((task) => this.places.has(task.id))
    const gone = removed.filter((id) => this.places.has(id) && !this.left.has(id))
    const leaving = changed.filter((task) => this.left.has(task.id) === matches(task, this.options.filter))
    if (gone.length + leaving.length > 0) {
      this.left = new Set(this.left)
      for (const { id } of leaving) if (!this.left.delete(id)) this.left.add(id)
      for (const id of gone) this.left.add(id)
    }
    if (changed.length === 0) return this.tell({})
    const rows = [...this.state.rows]
    for (const task of changed) rows[(this.places.get(task.id) ?? 0) - this.first] = task
    this.tell({ rows })
  }

  private prepend(): void {
    const added = [...this.fresh.values()].sort((a, b) => b.submittedAt - a.submittedAt || compareIds(b.id, a.id))
    this.fresh.clear()
    this.first -= added.length
    added.forEach((task, i) => this.places.set(task.id, this.first + i))
    this.tell({ rows: [...added, ...this.state.rows], total: (this.state.total ?? 0) + added.length })
  }

  private replace(page: TaskPage): void {
    this.places = new Map()
    this.first = 0
    this.pages = [{ place: 0, cursor: '' }]
    this.cursor = page.nextCursor
    this.fresh.clear()
    this.left = new Set()
    this.held.clear()
    const rows = page.tasks.map((task) => this.during?.get(task.id) ?? task)
    rows.forEach((task, i) => this.places.set(task.id, i))
    this.wanted = Math.min(this.wanted, this.shown[1])
    this.tell({ rows, total: page.total, complete: page.nextCursor === null, freshOpen: false })
    this.apply([...(this.during?.values() ?? [])], [])
    this.count({ upserted: [...(this.during?.values() ?? [])], removed: [] })
    this.tell({})
  }

  private append(page: TaskPage, cursor: string): void {
    const end = this.first + this.state.rows.length
    const added = page.tasks.filter((task) => !this.places.has(task.id)).map((task) => this.during?.get(task.id) ?? task)
    this.pages.push({ place: end, cursor })
    added.forEach((task, i) => {
      this.places.set(task.id, end + i)
      this.fresh.delete(task.id)
    })
    this.cursor = page.nextCursor
    // Tasks that ended their stay since make the total smaller than what is already shown.
    const total = Math.max(page.total, this.state.rows.length + added.length)
    this.tell({ rows: [...this.state.rows, ...added], complete: page.nextCursor === null, total: page.nextCursor === null ? this.state.rows.length + added.length : total })
  }

  private async fill(): Promise<void> {
    while (this.reading === null && this.cursor !== null && this.wanted >= this.state.rows.length) {
      const cursor = this.cursor
      if (!(await this.load('more', cursor, nextPage, (page) => this.append(page, cursor)))) return
    }
  }

  /** Reads the pages in view again, and puts what they say in the rows' places. */
  private async reread(): Promise<void> {
    const [from, to] = this.shown.map((index) => index + this.first) as [number, number]
    const pages = this.pages.filter((page, i) => page.place <= to && (this.pages[i + 1]?.place ?? Infinity) > from)
    for (const { cursor } of pages) {
      const read = await this.load('again', cursor, cursor === '' ? firstPage : nextPage, (page) => {
        this.apply(page.tasks.map((task) => this.during?.get(task.id) ?? task), [])
      })
      if (!read) return
    }
    await this.fill()
  }

  private async load(reading: TaskListState['reading'], cursor: string, limit: number, take: (page: TaskPage) => void): Promise<boolean> {
    const abort = new AbortController()
    this.reading = abort
    this.during = new Map()
    this.tell({ reading })
    try {
      const page = await this.options.read(cursor, limit, abort.signal)
      if (this.reading !== abort) return false
      this.reading = null
      take(page)
      this.during = null
      this.tell({ reading: null, error: null })
      return true
    } catch (error) {
      if (this.reading !== abort) return false
      this.reading = null
      this.during = null
      this.tell({ reading: null, error: abort.signal.aborted ? this.state.error : error })
      return false
    }
  }

  private tell(change: Partial<TaskListState>): void {
    this.state = { ...this.state, ...change, fresh: this.fresh.size, left: this.left, freshOpen: (change.freshOpen ?? this.state.freshOpen) || this.fresh.size >= mostFresh }
    for (const listener of this.listeners) listener()
  }
}

/** Ids of one millisecond, in the order they were made: the shorter number is the smaller. */
const compareIds = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)

