/** Knowledge about facts, on a test's database, where bridges are wa and signal. */
import type { Db } from '../../src/db/open.ts'
import type { Bridges } from '../../src/domain/ports.ts'
import type { Logger } from '../../src/lib/logger.ts'
import { createKnowledge, type KnowledgeOf } from '../../src/modules/chats/knowledge.ts'

/** @param ownsUser by default all users that are named after the platform's network */
export function knowledgeOn(
  db: Pick<Db, 'read'>,
  logger: Logger,
  ownsUser: Bridges['ownsUser'] = (platform, userId) =>
    (platform === 'wa' ? /^@whatsapp.*:s$/ : /^@signal.*:s$/).test(userId),
): KnowledgeOf {
  const platformOfBot = async (bot: string) =>
    ({ '@whatsappbot:s': 'wa', '@signalbot:s': 'signal' })[bot] ?? null
  return createKnowledge({
    db,
    bridges: { platforms: ['wa', 'signal'], platformOfBot, ownsUser },
    logger,
  })
}
