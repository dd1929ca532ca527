import { Fragment } from 'react'
import { Dialog } from '@/components/Dialog'
import { useI18n } from '@/i18n/context'
import { shortcuts } from './commands'

/** The keys, as `?` lists them. */
export default function Help({ onClose }: { onClose: () => void }) {
  const i18n = useI18n()
  return (
    <Dialog title={i18n.t('keys.title')} onClose={onClose}>
      <dl className="keys">
        {shortcuts(i18n).map(({ keys, does }) => (
          <div key={does}>
            <dt>
              {keys.map((pair, i) => (
                <Fragment key={pair.join()}>
                  {i > 0 && <span className="muted"> / </span>}
                  {pair.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </Fragment>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          {i18n.t('common.close')}
        </button>
      </div>
    </Dialog>
  )
}
