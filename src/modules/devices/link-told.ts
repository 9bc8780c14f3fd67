/** Writes an event of each state that a link comes to: nothing of its codes and questions. */
import type { Db } from '../../db/open.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { ownEvent, writeEvent } from '../events/event-repository.ts'
import type { LinkOptions } from './link.ts'

export function tellLinks({
  db,
  clock,
  logger,
}: {
  db: Pick<Db, 'write'>
  clock: Clock
  logger: Logger
}): NonNullable<LinkOptions['changed']> {
  let last: Promise<unknown> = Promise.resolve()
  return ({ id, identityId, platform }, state) => {
    const now = clock.now()
    const payload = { event: 'link.updated', timestamp: rfc3339(now), id, platform, state } as const
    const event = ownEvent({ identityId, lane: `link/${id}`, payload })
    last = last
      .then(() => db.write(async tx => void (await writeEvent(tx, event, now))))
      .catch(error => logger.warn({ link: id, err: error }, 'the state of a link could not be told'))
  }
}
