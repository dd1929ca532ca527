/** What the tests under load measure in the page. */
import type { CDPSession, Page } from '@playwright/test'

export interface Frames {
  perSecond: number
  /** The longest time between two frames. */
  longestMs: number
}

/** Counts frames for a while; the page is moved by so many pixels in each. */
export const frames = (page: Page, ms: number, scroll = 0): Promise<Frames> =>
  page.evaluate(
    ([length, by]) =>
      new Promise<{ perSecond: number; longestMs: number }>((resolve) => {
        const begun = performance.now()
        let count = 0
        let last = begun
        let longestMs = 0
        const step = (now: number) => {
          count++
          longestMs = Math.max(longestMs, now - last)
          last = now
          if (by !== 0) window.scrollBy(0, by)
          if (now - begun < length) requestAnimationFrame(step)
          else resolve({ perSecond: (count * 1000) / (now - begun), longestMs })
        }
        requestAnimationFrame(step)
      }),
    [ms, scroll] as const,
  )

/** Time of the processor that the page's main thread used, in seconds: not what a busy machine makes it wait. */
export async function threadSeconds(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0
}

/** How much of a core the page gets when it asks for all of it. */
export async function share(page: Page, cdp: CDPSession): Promise<number> {
  const before = await threadSeconds(cdp)
  await page.evaluate(() => {
    const begun = performance.now()
    while (performance.now() - begun < 1000);
  })
  return (await threadSeconds(cdp)) - before
}

/** Bytes of living JavaScript objects, and elements in the page. */
export async function size(cdp: CDPSession): Promise<{ heap: number; nodes: number }> {
  await cdp.send('HeapProfiler.collectGarbage')
  const { usedSize } = await cdp.send('Runtime.getHeapUsage')
  const { nodes } = await cdp.send('Memory.getDOMCounters')
  return { heap: usedSize, nodes }
}

/** A session with the page's own measurements, in time of its thread. */
export async function measured(page: Page): Promise<CDPSession> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  await cdp.send('HeapProfiler.enable')
  return cdp
}
