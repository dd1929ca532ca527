import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useState } from 'react'

/**
 * Rows of one height in a page that scrolls as a whole: only those in view are rendered.
 * Give `listRef` to the element that holds them; each row's `top` is within it.
 */
export function useVirtualRows(count: number, height: number, keyOf: (index: number) => string) {
  const [list, setList] = useState<HTMLElement | null>(null)
  const margin = useOffsetTop(list)
  const virtual = useWindowVirtualizer({ count, estimateSize: () => height, overscan: 12, scrollMargin: margin, getItemKey: keyOf })
  const { measure } = virtual
  useEffect(() => measure(), [measure, height])
  return {
    listRef: setList,
    totalHeight: virtual.getTotalSize(),
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
