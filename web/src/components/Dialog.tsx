import { useEffect, useId, useRef, type ReactNode } from 'react'

/** A window over the page that holds the focus until it is closed; Escape and the ground behind it close it. */
export function Dialog({ title, wide = false, children, onClose }: { title: string; wide?: boolean; children: ReactNode; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} className={wide ? 'dialog dialog-wide' : 'dialog'} aria-labelledby={id} onClose={onClose} onMouseDown={(event) => event.target === dialog.current && onClose()}>
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}
