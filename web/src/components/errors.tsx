import { Component, type ReactNode } from 'react'
import { ContractError, NetworkError, ProblemError } from '@/data/request'
import { useI18n, type I18n } from '@/i18n/context'
import { Icon } from './Icon'

/** What went wrong, as one sentence for people. */
export function errorText(error: unknown, { t }: I18n): string {
  if (error instanceof NetworkError) return t('problem.network')
  if (error instanceof ContractError) return t('problem.contract', { detail: error.message })
  if (error instanceof ProblemError) {
    const faults = error.faults.map(({ field, rule }) => t('problem.field', { field, rule }))
    return [error.message, ...faults].join(' · ')
  }
  return error instanceof Error ? error.message : String(error)
}

export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const i18n = useI18n()
  return (
    <div className="note" role="alert">
      <Icon name="warning" style={{ color: 'var(--vermilion)' }} />
      <span>{errorText(error, i18n)}</span>
      {onRetry && (
        <button type="button" className="button button-small" onClick={onRetry}>
          {i18n.t('common.retry')}
        </button>
      )}
    </div>
  )
}

/** Keeps a fault in one part of a page from taking the whole page down. */
export class Boundary extends Component<{ children: ReactNode; fallback: (error: unknown) => ReactNode }, { error: unknown; failed: boolean }> {
  override state = { error: null as unknown, failed: false }

  static getDerivedStateFromError(error: unknown) {
    return { error, failed: true }
  }

  override render() {
    return this.state.failed ? this.props.fallback(this.state.error) : this.props.children
  }
}
