import { useId, type ReactNode } from 'react'

interface FieldProps {
  label: string
  hint?: ReactNode
  /** What is wrong with it, in words. */
  fault?: string | undefined
  className?: string
  children: (input: { id: string; 'aria-invalid': boolean; 'aria-describedby': string | undefined }) => ReactNode
}

/** An input with its name above and, below it, what is wrong with it or how it is meant. */
export function Field({ label, hint, fault, className = '', children }: FieldProps) {
  const id = useId()
  const note = fault ?? hint
  return (
    <div className={`field ${className}`} data-faulty={fault !== undefined}>
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-invalid': fault !== undefined, 'aria-describedby': note ? `${id}-note` : undefined })}
      {note && (
        <p id={`${id}-note`} className={fault === undefined ? 'field-hint muted' : 'field-fault'} role={fault === undefined ? undefined : 'alert'}>
          {note}
        </p>
      )}
    </div>
  )
}
