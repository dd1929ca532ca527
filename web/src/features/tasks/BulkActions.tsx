import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { errorText } from '@/components/errors'
import { notify } from '@/components/notices'
import { useAction } from '@/components/useAction'
import { useMay } from '@/data/access'
import { bulk, type BulkScope, type BulkVerb } from '@/data/tasks/actions'
import { taskKeys } from '@/data/tasks/queries'
import { useI18n } from '@/i18n/context'
import { act, bulkVerbs } from './bulk.model'

interface BulkActionsProps {
  scopeOf: (verb: BulkVerb) => BulkScope
  /** What the scope is, in words: "3 selected tasks", or the search. */
  scope: string
  onDone: () => void
}

interface Asked {
  verb: BulkVerb
  matched: number
  /** What the count is of, and what will be acted upon, even if the page moves on. */
  scope: BulkScope
}

/** Acts on many tasks: counts those it can be applied to, names the number, asks once, and reports the end. */
export function BulkActions({ scopeOf, scope, onDone }: BulkActionsProps) {
  const i18n = useI18n()
  const { t } = i18n
  const queries = useQueryClient()
  const mayAct = useMay('operate')
  const [asked, setAsked] = useState<Asked | null>(null)
  const run = useAction({
    run: ({ verb, scope: chosen }: Asked) => act(verb, chosen),
    done: (outcome, { verb }) => (outcome.left === 0 ? t(`bulk.${verb}Done`, { n: outcome.asked }) : t('bulk.partly', { n: outcome.asked - outcome.left, asked: outcome.asked })),
    then: () => {
      void queries.invalidateQueries({ queryKey: taskKeys.all })
      onDone()
    },
  })
  const ask = (verb: BulkVerb) => {
    const chosen = scopeOf(verb)
    bulk(verb, chosen, true).then(
      ({ matched }) => (matched === 0 ? notify('failed', t(`bulk.${verb}None`)) : setAsked({ verb, matched, scope: chosen })),
      (error: unknown) => notify('failed', errorText(error, i18n)),
    )
  }
  return (
    <>
      {mayAct && bulkVerbs.map((verb) => (
        <button key={verb} type="button" className="button button-small" disabled={run.isPending} onClick={() => ask(verb)}>
          {t(`bulk.${verb}`)}
        </button>
      ))}
      {run.isPending && <span className="muted" role="status">{t('bulk.running')}</span>}
      {asked && (
        <Confirm
          title={t(`bulk.${asked.verb}Title`, { n: asked.matched })}
          action={t(`bulk.${asked.verb}Yes`, { n: asked.matched })}
          onClose={() => setAsked(null)}
          onConfirm={() => {
            run.mutate(asked)
            setAsked(null)
          }}
        >
          <p className="muted">{t(`bulk.${asked.verb}Hint`)}</p>
          <p className="muted">{t('bulk.scope', { scope })}</p>
        </Confirm>
      )}
    </>
  )
}
