import type { z } from 'zod'
import { Problem, type FieldFault } from '@/wire/schemas'
import { sessionStore } from './session'

/** The API answered with an error: RFC 9457, or a bare status of something in between. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string | null,
    readonly faults: readonly FieldFault[],
  ) {
    super(detail ?? title)
  }
}

/** The request got no answer: no network, no server, or a connection cut half-way. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
}

/** The answer does not have the shape agreed on: dashboard and server do not fit together. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
  constructor(
    readonly path: string,
    readonly where: string,
  ) {
    super(`${path}: ${where}`)
  }
}

export type QueryValue = string | number | boolean | undefined | null

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Empty, null and undefined values are left out. */
  query?: Record<string, QueryValue>
  body?: unknown
  /** A body that is JSON already, sent as it is. */
  text?: string
  signal?: AbortSignal
}

/** The one place that talks HTTP. `read` turns the text of the answer into its result. */
export async function request<T>(path: string, read: (text: string) => T, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options)
  const text = await body(response)
  if (!response.ok) throw problem(response, text)
  return read(text)
}

/** A reader that checks the answer against its wire type. */
export function json<S extends z.ZodType>(schema: S, path: string): (text: string) => z.output<S> {
  return (text) => {
    const parsed = schema.safeParse(parse(text, path))
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]
    throw new ContractError(path, issue ? `${issue.path.join('.')}: ${issue.message}` : 'unreadable')
  }
}

/** A reader for answers without a body. */
export const nothing = (): undefined => undefined

async function send(path: string, { method = 'GET', query, body, text, signal }: RequestOptions): Promise<Response> {
  const init: RequestInit = { method, credentials: 'same-origin', headers: { accept: 'application/json' } }
  if (signal) init.signal = signal
  const content = text ?? (body === undefined ? undefined : JSON.stringify(body))
  if (content !== undefined) {
    init.body = content
    init.headers = { accept: 'application/json', 'content-type': 'application/json' }
  }
  try {
    return await fetch(path + search(query), init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new NetworkError(message(error))
  }
}

async function body(response: Response): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw new NetworkError(message(error))
  }
}

function problem(response: Response, text: string): ProblemError {
  if (response.status === 401) sessionStore.require()
  let read: z.infer<typeof Problem> = {}
  try {
    read = Problem.parse(JSON.parse(text))
  } catch {
    // A proxy's own error page: its status is all there is to say.
  }
  const title = read.title ?? (response.statusText || `HTTP ${response.status}`)
  return new ProblemError(response.status, title, read.detail ?? null, read.errors ?? [])
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ContractError(path, 'not JSON')
  }
}

export function search(query: Record<string, QueryValue> = {}): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') params.set(key, String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error))
