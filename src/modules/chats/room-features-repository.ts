/**
 * SQL of chats' room features: each content once, as nearly all chats of a network have the same.
 */
import { createHash } from 'node:crypto'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, roomFeatures } from '../../db/schema/index.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import { readRoomFeatures } from '../../matrix/room-features.ts'

type Content = Readonly<Record<string, unknown>>

/** Names a content in the rows of chats. */
export function featuresDigest(content: Content): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)
}

const param = sql.placeholder
const insert = statement(orm =>
  orm
    .insert(roomFeatures)
    .values({ digest: param('digest'), content: param('content') })
    .onConflictDoNothing(),
)
const byDigest = statement(orm =>
  orm
    .select({ content: roomFeatures.content })
    .from(roomFeatures)
    .where(eq(roomFeatures.digest, param('digest'))),
)

/** A content under the name that rows of chats have for it. */
export interface Features {
  digest: string
  content: Content
}

/** Stores a content once. */
export function rememberFeatures(tx: Tx, { digest, content }: Features): Promise<void> {
  return tx.run(insert, { digest, content })
}

export interface ChatFeatures {
  /** @returns null where the bridge says nothing */
  featuresOf(chat: Pick<Chat, 'features'>): Promise<RoomFeatures | null>
  /**
   * Notes the features in a chat's room.
   * @param content of the state, null where there is none
   * @returns the chat's `features`
   */
  learnFeatures(identityId: string, roomId: string, content: Content | null): Promise<string>
}

/** Networks have a few kinds of chat each. */
const MAX_CACHED = 256

export function createChatFeatures(db: Pick<Db, 'read' | 'write'>): ChatFeatures {
  /** Rows never change. */
  const cached = new LRUCache<string, RoomFeatures>({ max: MAX_CACHED })

  return {
    async featuresOf({ features: digest }) {
      if (!digest) return null
      const known = cached.get(digest)
      if (known) return known
      const row = await db.read(reader => reader.get(byDigest, { digest }))
      if (!row) return null
      const features = readRoomFeatures(row.content)
      cached.set(digest, features)
      return features
    },

    learnFeatures: (identityId, roomId, content) =>
      db.write(async tx => {
        const digest = content === null ? '' : featuresDigest(content)
        if (content !== null) await rememberFeatures(tx, { digest, content })
        await tx.run(orm =>
          orm
            .update(chats)
            .set({ features: digest })
            // The bridge may have changed them since the state was read.
            .where(and(eq(chats.identityId, identityId), eq(chats.roomId, roomId), isNull(chats.features))),
        )
        return digest
      }),
  }
}
