/**
 * A stand-in for the API with a state that tests choose: it serves the built dashboard,
 * answers the requests the dashboard makes, and says over the WebSocket what it is told.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { WebSocketServer, type WebSocket } from 'ws'
import { iso, type DeltaJson } from '../../src/test/wire'
import type { World } from './world'

const dist = join(import.meta.dirname, '../../dist')
const contentTypes: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
/** The API's own policy: what it would block is blocked here too. */
const contentPolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const sessionCookie = 'batuta_session=open'

export interface Recorded {
  method: string
  path: string
  query: Record<string, string>
  body: unknown
}

export class MockServer {
  /** Every request but those for files. */
  readonly requests: Recorded[] = []
  /** Set: requests and sockets without this token's cookie are refused. */
  token: string | null = null
  /** Of those who have a token. */
  role: 'viewer' | 'submitter' | 'operator' | 'admin' = 'admin'
  /** Answers of the API by "METHOD /path", instead of the usual ones. */
  readonly faults = new Map<string, { status: number; title: string; detail: string; errors?: { field: string; value: unknown; rule: string }[] }>()
  /** Answers by "METHOD /path" that are written at once, but sent only when these promises end. */
  readonly held = new Map<string, Promise<void>>()
  /** The `since` of each WebSocket that was opened. */
  readonly resumes: (string | null)[] = []
  private seq = 0
  private beat: ReturnType<typeof setInterval> | null = null
  private readonly server: Server
  private readonly sockets = new WebSocketServer({ noServer: true })

  constructor(readonly world: World) {
    this.server = createServer((request, response) => {
      this.serve(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
    })
    this.server.on('upgrade', (request, socket, head) => {
      if (!this.mayEnter(request)) {
        socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
        return
      }
      this.sockets.handleUpgrade(request, socket, head, (ws) => this.greet(ws, new URL(request.url ?? '/', 'http://x').searchParams.get('since')))
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve))
    this.beat = setInterval(() => this.push({ stats: this.world.stats }), 1000)
  }

  async stop(): Promise<void> {
    this.silence()
    this.dropSockets()
    await new Promise((resolve) => {
      this.server.close(resolve)
      this.server.closeAllConnections()
    })
  }

  /** No heartbeat any more, though the connection stays. */
  silence(): void {
    if (this.beat) clearInterval(this.beat)
    this.beat = null
  }

  dropSockets(): void {
    for (const client of this.sockets.clients) client.terminate()
  }

  /** Applies a change to the world and tells everybody. */
  push(change: Omit<DeltaJson, 'type' | 'seq' | 'at'>): void {
    this.world.apply(change)
    this.seq++
    const text = JSON.stringify({ type: 'delta', seq: this.seq, at: iso(Date.now()), ...change })
    for (const client of this.sockets.clients) client.send(text)
  }

  /** Something else than the contract allows. */
  pushText(text: string): void {
    for (const client of this.sockets.clients) client.send(text)
  }

  private greet(socket: WebSocket, since: string | null): void {
    this.resumes.push(since)
    const { stats, workers, pools, queues, tasks, events } = this.world
    const text = { type: 'snapshot', seq: this.seq, at: iso(Date.now()), stats, workers, pools, queues, tasks: tasks.slice(0, 200), events: events.slice(0, 200) }
    socket.send(JSON.stringify(text))
  }

  private mayEnter(request: IncomingMessage): boolean {
    return this.token === null || (request.headers.cookie ?? '').includes(sessionCookie)
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    const method = request.method ?? 'GET'
    if (method === 'GET' && (url.pathname === '/' || url.pathname === '/ui' || url.pathname.startsWith('/ui/'))) return this.file(url.pathname, response)
    const body = await readBody(request)
    const recorded = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), body }
    this.requests.push(recorded)
    if (url.pathname === '/session') { this.session(recorded, request, response); return; }
    if (!this.mayEnter(request)) { problem(response, 401, 'Unauthorized', 'A token is needed.'); return; }
    const fault = this.faults.get(`${method} ${url.pathname}`)
    if (fault) { problem(response, fault.status, fault.title, fault.detail, fault.errors); return; }
    const answer = this.world.answer(recorded)
    if (!answer) { problem(response, 404, 'Not Found', `There is no ${method} ${url.pathname}.`); return; }
    await this.held.get(`${method} ${url.pathname}`)
    response.writeHead(answer.status, { 'content-type': answer.status >= 400 ? 'application/problem+json' : 'application/json' })
    response.end(answer.text)
  }

  private session({ method, body }: Recorded, request: IncomingMessage, response: ServerResponse): void {
    const given = typeof body === 'object' && body !== null && 'token' in body ? body.token : null
    if (method === 'POST' && given !== this.token) return problem(response, 401, 'Unauthorized', 'This token is not known.')
    if (method === 'GET' && !this.mayEnter(request)) return problem(response, 401, 'Unauthorized', 'A token is needed.')
    if (method === 'DELETE') {
      response.writeHead(204, { 'set-cookie': 'batuta_session=; Max-Age=0; Path=/' }).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json', ...(method === 'POST' && { 'set-cookie': `${sessionCookie}; HttpOnly; Path=/; SameSite=Strict` }) })
    response.end(JSON.stringify(this.token === null ? { name: 'anonymous', role: 'admin' } : { name: 'ana', role: this.role }))
  }

  private async file(path: string, response: ServerResponse): Promise<void> {
    const name = normalize(path.replace(/^\/ui\/?/, '/'))
    const known = extname(name) === '' ? 'index.html' : name
    const content = await readFile(join(dist, known))
    response.writeHead(200, { 'content-type': contentTypes[extname(known)] ?? 'application/octet-stream', 'content-security-policy': contentPolicy })
    response.end(content)
  }
}

function problem(response: ServerResponse, status: number, title: string, detail: string, errors?: unknown[]): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ status, title, detail, ...(errors && { errors }) }))
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString()
  return text === '' ? null : (JSON.parse(text) as unknown)
}
