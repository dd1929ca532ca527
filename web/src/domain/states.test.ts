import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { phaseStates, systemStates, taskStates, workerStates, type State } from './states'

const tokens = readFileSync(join(process.cwd(), 'src/styles/tokens.css'), 'utf8')

describe.each([
  ['tasks', taskStates],
  ['workers', workerStates],
  ['the system', systemStates],
  ['the connection', phaseStates],
])('states of %s', (_, map: Record<string, State>) => {
  const states = Object.values(map)

  it('differ in word and icon, not in colour alone', () => {
    expect(new Set(states.map((state) => state.label)).size).toBe(states.length)
    expect(new Set(states.map((state) => state.icon)).size).toBe(states.length)
  })

  it('have a colour in light, dark and system themes', () => {
    for (const { color } of states) expect(tokens.split(`${color.slice(4, -1)}: #`)).toHaveLength(4)
  })
})
