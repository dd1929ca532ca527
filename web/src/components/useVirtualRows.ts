import { defaultRangeExtractor, useWindowVirtualizer, type Range } from '@tanstack/react-virtual'
import { useCallback, useEffect, useState } from 'react'

interface VirtualOptions {
  /** A row that stays in the page when it is scrolled out of view: the one with the focus. */
  pinned?: number | null
  /** Height at the top of the window that is covered by what sticks there. */
  covered?: number
}

/**
 * Rows of one height in a page that scrolls as a whole: only those in view are rendered.
 * Give `listRef` to the element that holds them; each row's `top` is within it.
 */
export function useVirtualRows(count: number, height: number, keyOf: (index: number) => string, { pinned, covered = 0 }: VirtualOptions = {}) {
  const [list, setList] = useState<HTMLElement | null>(null)
  const margin = useOffsetTop(list)
  const extract = useCallback(
    (range: Range) => {
      const indexes = defaultRangeExtractor(range)
      if (pinned == null || pinned >= range.count || indexes.includes(pinned)) return indexes
      return [...indexes, pinned].sort((a, b) => a - b)
    },
    [pinned],
  )
  const virtual = useWindowVirtualizer({ count, estimateSize: () => height, overscan: 12, scrollMargin: margin, scrollPaddingStart: covered, getItemKey: keyOf, rangeExtractor: extract })
  const { measure } = virtual
  useEffect(() => measure(), [measure, height])
  return {
    listRef: setList,
    totalHeight: virtual.getTotalSize(),
    scrollTo: (index: number) => virtual.scrollToIndex(index),
    /** First and last row in view, without those kept ready around them. */
    range: virtual.range ?? { startIndex: 0, endIndex: 0 },
    rows: virtual.getVirtualItems().map(({ key, index, start }) => ({ key, index, top: start - margin })),
  }
}

/** Where the element begins in the page; follows what appears and vanishes above it. */
function useOffsetTop(element: HTMLElement | null): number {
  const [top, setTop] = useState(0)
  useEffect(() => {
    if (!element) return
    const read = () => setTop(Math.round(element.getBoundingClientRect().top + window.scrollY))
    const observer = new ResizeObserver(read)
    observer.observe(document.body)
    for (let above = element.previousElementSibling; above; above = above.previousElementSibling) observer.observe(above)
    const page = element.closest('main')
    for (const part of page?.children ?? []) observer.observe(part)
    return () => observer.disconnect()
  }, [element])
  return top
}
