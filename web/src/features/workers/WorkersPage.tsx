import { peak } from '@/components/charts/model'
import { Panel } from '@/components/Panel'
import { useLive } from '@/data/live/hooks'
import { useSeries } from '@/data/stats/hooks'
import { usualWindow } from '@/data/stats/queries'
import { useI18n } from '@/i18n/context'
import { Pools } from './Pools'
import { byId, useEnded } from './useEnded'
import { WorkerTable } from './WorkerTable'

export function WorkersPage() {
  const { t } = useI18n()
  const workers = useLive((data) => data.workers)
  const ended = useEnded()
  const { data: series } = useSeries(usualWindow)
  const living = [...(workers?.values() ?? [])].sort(byId)
  const courses = series?.workers ?? {}
  const memoryMax = Math.max(50, peak(living.map(({ id }) => courses[id]?.memoryMb ?? [])))
  return (
    <div className="page workers">
      <title>{`${t('nav.workers')} · ${t('app.name')}`}</title>
      <h1 className="visually-hidden">{t('nav.workers')}</h1>
      <Panel title={t('pools.title')}>
        <Pools />
      </Panel>
      <Panel title={workers ? t('workers.list', { n: living.length }) : t('nav.workers')}>
        {workers === undefined ? (
          <p className="empty-line">{t('common.loading')}</p>
        ) : living.length + ended.length === 0 ? (
          <p className="empty-line">
            {t('workers.none')} {t('workers.noneHint')}
          </p>
        ) : (
          <WorkerTable living={living} ended={ended} courses={courses} memoryMax={memoryMax} />
        )}
      </Panel>
    </div>
  )
}
