import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// Where `npm run dev` sends what is not the dashboard's own: a running `batuta up`.
const api = process.env.BATUTA_URL ?? 'http://127.0.0.1:8080'
const apiPaths = ['tasks', 'workers', 'pools', 'queues', 'stats', 'events', 'session', 'openapi.json', 'docs', 'healthz', 'readyz', 'metrics']

export default defineConfig(({ command }) => ({
  plugins: [react()],
  // Absolute, so that a page such as /ui/tasks/task-104 finds its assets. The built
  // files are served below /ui/: /ui/assets/index-<hash>.js.
  base: command === 'build' ? '/ui/' : '/',
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    target: 'es2022',
    // React changes seldom: a chunk of its own stays in browsers' caches over releases. The
    // chart library is loaded by import(), so pages without charts do without it.
    rollupOptions: { output: { manualChunks: (id) => (id.includes('node_modules/react-dom') ? 'react' : undefined) } },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      ...Object.fromEntries(apiPaths.map((path) => [`^/${path}($|[/?])`, { target: api, changeOrigin: true }])),
      '/ws': { target: api, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/test/setup.ts'],
    restoreMocks: true,
    // Of a machine that does other things too.
    testTimeout: 60_000,
  },
}))
