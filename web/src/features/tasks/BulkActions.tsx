import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Confirm } from '@/components/Confirm'
import { useAction } from '@/components/useAction'
import { errorText } from '@/components/errors'
import { notify } from '@/components/notices'
import { bulk, type BulkVerb } from '@/data/tasks/actions'
import { taskKeys } from '@/data/tasks/queries'
import type { TaskFilter } from '@/data/tasks/types'
import { useI18n } from '@/i18n/context'
import { formatQuery } from './query.model'

/** What can be done to all tasks of a status at once. */
const verbs: Record<string, BulkVerb[]> = {
  scheduled: ['cancel'],
  pending: ['cancel'],
  inProgress: ['cancel'],
  retrying: ['cancel'],
  completed: ['delete'],
  failed: ['retry', 'delete'],
  cancelled: ['retry', 'delete'],
}

interface Asked {
  verb: BulkVerb
  matched: number
  /** The filter the count is of: what will be acted upon, even if the page moves on. */
  filter: TaskFilter
}

/** Acts on every task of the filter: counts them first, names the number, asks once. */
export function BulkActions({ filter }: { filter: TaskFilter }) {
  const i18n = useI18n()
  const { t } = i18n
  const queries = useQueryClient()
  const [asked, setAsked] = useState<Asked | null>(null)
  const act = useAction({
    run: ({ verb, filter: scope }: Asked) => bulk(verb, scope, false),
    done: ({ matched }) => t('bulk.done', { n: matched }),
    then: () => void queries.invalidateQueries({ queryKey: taskKeys.all }),
  })
  const ask = (verb: BulkVerb) => {
    bulk(verb, filter, true).then(
      ({ matched }) => setAsked({ verb, matched, filter }),
      (error: unknown) => notify('failed', errorText(error, i18n)),
    )
  }
  const offered = filter.status === undefined ? [] : (verbs[filter.status] ?? [])
  return (
    <>
      {offered.map((verb) => (
        <button key={verb} type="button" className="button button-small" onClick={() => ask(verb)}>
          {t(`bulk.${verb}`)}
        </button>
      ))}
      {asked && (
        <Confirm
          title={t(`bulk.${asked.verb}Title`, { n: asked.matched })}
          action={t(`task.${asked.verb}`)}
          onClose={() => setAsked(null)}
          onConfirm={() => {
            act.mutate(asked)
            setAsked(null)
          }}
        >
          <p className="muted">{t('bulk.scope', { filter: `status:${asked.filter.status ?? ''} ${formatQuery(asked.filter)}`.trim() })}</p>
        </Confirm>
      )}
    </>
  )
}
