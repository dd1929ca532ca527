import type { CSSProperties } from 'react'

/** Drawn on a 16 × 16 grid, stroked with the current colour; `fill` paths are filled. */
const icons = {
  clock: { stroke: 'M8 1.9a6.1 6.1 0 1 1 0 12.2A6.1 6.1 0 0 1 8 1.9ZM8 4.6V8l2.3 1.5' },
  dots: { fill: 'M3.2 6.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3Zm4.8 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3Zm4.8 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3Z' },
  dot: { fill: 'M8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4Z' },
  play: { fill: 'M4.6 2.9v10.2c0 .5.5.8.9.5l7.7-5.1c.4-.2.4-.8 0-1L5.500 2.400c-.4-.3-.9 0-.9.5Z' },
  loop: { stroke: 'M13.300 6.200A5.600 5.600 0 0 0 3.300 5M2.700 9.800a5.600 5.600 0 0 0 10 1.200M3 1.900V5h3.100M13 14.100V11H9.900' },
  check: { stroke: 'M2.800 8.600l3.500 3.500 7-7.900' },
  cross: { stroke: 'M3.600 3.600l8.800 8.800M12.400 3.600l-8.800 8.800' },
  slash: { stroke: 'M8 1.900a6.100 6.100 0 1 1 0 12.200A6.100 6.100 0 0 1 8 1.900ZM3.800 12.200l8.400-8.400' },
  ring: { stroke: 'M8 3.200a4.800 4.800 0 1 1 0 9.600 4.800 4.800 0 0 1 0-9.600Z' },
  full: { fill: 'M8 2.600a5.400 5.400 0 1 1 0 10.800A5.400 5.400 0 0 1 8 2.600Z' },
  drain: { stroke: 'M8 2v8M4.600 7L8 10.400 11.400 7M2.500 13.500h11' },
  warning: { stroke: 'M8 2.200l6.300 11.300H1.700L8 2.200ZM8 6.500v3.200M8 11.600v.1' },
  gauge: { stroke: 'M2.300 12.500a6.300 6.300 0 1 1 11.400 0M8 9.500l3-3.600' },
  signal: { stroke: 'M8 8v.1M5.200 10.800a4 4 0 0 1 0-5.600M10.800 5.200a4 4 0 0 1 0 5.600M3.100 12.900a7 7 0 0 1 0-9.800M12.900 3.100a7 7 0 0 1 0 9.800' },
  pause: { fill: 'M4 3h2.800v10H4zM9.200 3H12v10H9.200z' },
  plug: { stroke: 'M2 14l2.600-2.600M6 4.600l5.400 5.400-1.200 1.200a3.800 3.800 0 0 1-5.400-5.400L6 4.600ZM8.600 5.200L11 2.800M10.800 7.400L13.200 5M2.500 2.500l11 11' },
  scale: { stroke: 'M2.500 13.500h11M4 10.500V8M8 10.500V5.500M12 10.500V2.500' },
  overview: { stroke: 'M2.500 2.500h4.600v6H2.500zM9 2.500h4.500v3.400H9zM9 7.900h4.500v5.600H9zM2.500 10.500h4.600v3H2.500z' },
  tasks: { stroke: 'M2.500 4l1.200 1.200L5.800 3M2.500 10.800L3.700 12l2.100-2.200M8.300 4.300h5.200M8.300 11.100h5.200' },
  workers: { stroke: 'M4.200 4.200h7.600v7.600H4.200zM6.300 1.800v2.400M9.700 1.800v2.400M6.300 11.800v2.400M9.700 11.800v2.400M1.800 6.300h2.400M1.800 9.700h2.400M11.800 6.300h2.400M11.800 9.700h2.400' },
  queues: { stroke: 'M2.500 3.700h11M2.500 8h8M2.500 12.300h5' },
  events: { stroke: 'M1.800 8.500h2.800l2-5.500 3 10 2-4.500h2.600' },
  sun: { stroke: 'M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600ZM8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.900M11.700 11.700l.9.900M12.600 3.400l-.9.900M4.300 11.700l-.9.900' },
  moon: { stroke: 'M13.300 9.600A5.800 5.800 0 0 1 6.400 2.700a5.800 5.800 0 1 0 6.900 6.900Z' },
  auto: { stroke: 'M8 2.200a5.800 5.800 0 1 1 0 11.600A5.800 5.800 0 0 1 8 2.200Z', fill: 'M8 2.200a5.800 5.800 0 0 1 0 11.600Z' },
  search: { stroke: 'M7 2.600a4.400 4.400 0 1 1 0 8.800 4.400 4.400 0 0 1 0-8.800ZM10.200 10.200l3.500 3.500' },
  back: { stroke: 'M9.800 3L4.800 8l5 5' },
  plus: { stroke: 'M8 2.8v10.4M2.8 8h10.4' },
  expand: { stroke: 'M9.500 2.500h4v4M13.500 2.500L9 7M6.500 13.500h-4v-4M2.500 13.500L7 9' },
  edit: { stroke: 'M3 13l.700-3L10.600 3.100l2.300 2.300L6 12.300 3 13Z' },
  up: { stroke: 'M4 9.800L8 5.800l4 4' },
  down: { stroke: 'M4 6.200l4 4 4-4' },
  out: { stroke: 'M6.500 2.500h-4v11h4M6.500 8h7M10.800 5.200L13.600 8l-2.800 2.800' },
} satisfies Record<string, { stroke?: string; fill?: string }>

export type IconName = keyof typeof icons

/** Decorative: what it means stands beside it as a word, or in the label of its button. */
export function Icon({ name, size = 14, style }: { name: IconName; size?: number; style?: CSSProperties }) {
  const icon: { stroke?: string; fill?: string } = icons[name]
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" style={style}>
      {icon.fill && <path d={icon.fill} fill="currentColor" />}
      {icon.stroke && <path d={icon.stroke} fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" />}
    </svg>
  )
}
