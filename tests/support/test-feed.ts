/** The event feed on a real database. */
import type { Db } from '../../src/db/open.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { Arrivals } from '../../src/modules/feed/arrivals.ts'
import { createStoredCursors } from '../../src/modules/feed/cursor-key.ts'
import { createFeed } from '../../src/modules/feed/feed.ts'
import { createFeedRepository } from '../../src/modules/feed/repository.ts'
import { createSettingsRepository } from '../../src/modules/identities/settings-repository.ts'
import type { Payloads } from '../../src/modules/webhooks/payload.ts'
import { storedPayloads } from './test-webhooks.ts'

export function testFeed({ db, clock, payloads }: { db: Db; clock: Clock; payloads?: Payloads }) {
  const repository = createFeedRepository(db)
  return createFeed({
    repository,
    arrivals: new Arrivals({ repository, watchCommits: watcher => db.committer.watch(watcher) }),
    payloads: payloads ?? storedPayloads,
    cursors: createStoredCursors(createSettingsRepository(db)),
    clock,
  })
}
