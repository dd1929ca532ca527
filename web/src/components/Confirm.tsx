import { useEffect, useId, useRef, type ReactNode } from 'react'
import { useI18n } from '@/i18n/context'

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
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby={id} onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {t('common.cancel')}
          </button>
          <button type="button" className="button button-danger" onClick={onConfirm}>
            {action}
          </button>
        </div>
      </div>
    </dialog>
  )
}
