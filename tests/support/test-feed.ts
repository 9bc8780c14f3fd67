/** The event feed on a real database. */
import type { Db } from '../../src/db/open.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { Arrivals } from '../../src/modules/events/arrivals.ts'
import { createStoredCursors } from '../../src/modules/events/cursor.ts'
import { createFeed } from '../../src/modules/events/feed.ts'
import { createFeedRepository, type FeedRepository } from '../../src/modules/events/feed-repository.ts'
import { LiveEvents } from '../../src/modules/events/live-events.ts'
import { createSettingsRepository } from '../../src/modules/tenants/settings-repository.ts'
import { type PayloadMaker, payloadsBy } from './test-webhooks.ts'

interface TestFeedOptions {
  db: Db
  clock: Clock
  payloads?: PayloadMaker
  /** Replaces the write that notes a reader. */
  noteRead?: FeedRepository['noteRead']
  live?: LiveEvents
}

export function testFeed({ db, clock, payloads, noteRead, live = new LiveEvents() }: TestFeedOptions) {
  const stored = createFeedRepository(db)
  const repository = { ...stored, noteRead: noteRead ?? stored.noteRead }
  return createFeed({
    repository,
    arrivals: new Arrivals({ repository, watchCommits: watcher => db.committer.watch(watcher) }),
    payloads: payloadsBy(payloads),
    live,
    cursors: createStoredCursors(createSettingsRepository(db)),
    clock,
  })
}
