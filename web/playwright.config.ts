import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { defineConfig } from '@playwright/test'

// Asked for once; Playwright's workers inherit the answer.
process.env.BROWSER_PATH ??= execFileSync(process.execPath, [fileURLToPath(new URL('e2e/find-browser.mjs', import.meta.url))], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  workers: 2,
  // Machines that build other things at the same time are slow, not wrong.
  timeout: 240_000,
  expect: { timeout: 60_000 },
  reporter: [['list']],
  use: {
    trace: 'retain-on-failure',
    locale: 'en-GB',
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath: process.env.BROWSER_PATH,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-dev-shm-usage'],
    },
  },
  projects: [
    // Against a server whose state the test chooses.
    { name: 'mock', testMatch: 'mock/*.spec.ts' },
    // Under load, alone on the machine as far as that can be had.
    { name: 'perf', testMatch: 'perf/*.spec.ts', fullyParallel: false },
    // Against bin/batuta, one after the other: each starts a whole system.
    { name: 'real', testMatch: 'real/*.spec.ts', timeout: 360_000, fullyParallel: false },
    { name: 'screens', testMatch: 'shots/*.spec.ts', timeout: 600_000 },
    // The two pictures of the README, of a system at work.
    { name: 'pictures', testMatch: 'pictures/*.spec.ts', timeout: 900_000 },
  ],
})
