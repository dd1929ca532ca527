import { test as base } from '@playwright/test'
import { MockServer } from './server'
import { busyWorld, emptyWorld, type World } from './world'

interface Fixtures {
  /** Which world the mock server begins with. */
  world: 'empty' | 'busy'
  mock: MockServer
}

const worlds: Record<Fixtures['world'], () => World> = { empty: emptyWorld, busy: busyWorld }

/** Tests with a mock server of their own; the page's addresses are relative to it. */
export const test = base.extend<Fixtures>({
  world: ['busy', { option: true }],
  mock: async ({ world }, use) => {
    const server = new MockServer(worlds[world]())
    await server.start()
    await use(server)
    await server.stop()
  },
  baseURL: async ({ mock }, use) => use(mock.url),
})

export { expect } from '@playwright/test'
