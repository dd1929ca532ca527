import type { ReactNode } from 'react'
import { useI18n } from '@/i18n/context'
import { Dialog } from './Dialog'

interface ConfirmProps {
  title: string
  children?: ReactNode
  action: string
  onConfirm: () => void
  onClose: () => void
}

/** Asks once before an act that cannot be taken back. Escape and the backdrop mean no. */
export function Confirm({ title, children, action, onConfirm, onClose }: ConfirmProps) {
  const { t } = useI18n()
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          {t('common.cancel')}
        </button>
        <button type="button" className="button button-danger" onClick={onConfirm}>
          {action}
        </button>
      </div>
    </Dialog>
  )
}
