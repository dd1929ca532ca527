/** A whole system for one test: `batuta up` on free ports and a data directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base } from '@playwright/test'

const binary = process.env.BATUTA_BIN ?? join(import.meta.dirname, '../../../bin/batuta')
const startMs = 60_000
const stopMs = 40_000
const pollMs = 100

export class System {
  private child: ChildProcess | null = null
  private output = ''

  private constructor(
    private readonly httpPort: number,
    private readonly natsPort: number,
    private readonly dataDir: string,
    /** Set beside the addresses, as BATUTA_… */
    private readonly settings: Record<string, string>,
  ) {}

  static async create(settings: Record<string, string>): Promise<System> {
    if (!existsSync(binary)) throw new Error(`${binary} is not there: run "make build" first`)
    const [httpPort, natsPort] = await freePorts()
    return new System(httpPort, natsPort, await mkdtemp(join(tmpdir(), 'batuta-e2e-')), settings)
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`
  }

  async start(): Promise<void> {
    const args = ['up', '--http-addr', `127.0.0.1:${this.httpPort}`, '--nats-addr', `127.0.0.1:${this.natsPort}`, '--data-dir', this.dataDir]
    const child = spawn(binary, args, { env: { ...process.env, ...this.settings }, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (text: Buffer) => (this.output += text.toString()))
    child.stderr.on('data', (text: Buffer) => (this.output += text.toString()))
    this.child = child
    const deadline = Date.now() + startMs
    while (!(await this.ready())) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`batuta up did not become ready:\n${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  /** Asks it to stop, as Ctrl-C does, and waits until it has. */
  async stop(): Promise<void> {
    const { child } = this
    this.child = null
    if (!child || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await ended
    clearTimeout(force)
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Submits a task; `body` is sent as it is. Its id. */
  async submit(body: string): Promise<string> {
    const response = await fetch(`${this.url}/tasks`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const text = await response.text()
    if (response.status !== 202) throw new Error(`POST /tasks: ${response.status} ${text}`)
    return (JSON.parse(text) as { id: string }).id
  }

  private async ready(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/readyz`)).status === 200
    } catch {
      return false // Nobody listens yet.
    }
  }
}

/** Two ports nobody uses: both held at once, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map((server) => new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const [http = 0, nats = 0] = ports
  return [http, nats]
}

interface Fixtures {
  settings: Record<string, string>
  system: System
}

export const test = base.extend<Fixtures>({
  // One worker with one slot: what waits and what runs is for the test to say.
  settings: [{ BATUTA_POOL_MIN: '1', BATUTA_POOL_MAX: '1', BATUTA_WORKER_CONCURRENCY: '1', BATUTA_DRAIN: '1s' }, { option: true }],
  system: async ({ settings }, use) => {
    const system = await System.create(settings)
    try {
      await system.start()
      await use(system)
    } finally {
      await system.remove()
    }
  },
  baseURL: async ({ system }, use) => use(system.url),
})

export { expect } from '@playwright/test'
