import { preference } from './preference'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

export const themePreference = preference<Theme>('batuta.theme', themes, () => 'system')

/** Puts the choice on the root element, where the style sheet looks for it. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = themePreference.get()
}
