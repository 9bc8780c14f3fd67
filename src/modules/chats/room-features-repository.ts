/**
 * SQL of chats' room features: each content once, as nearly all chats of a network have the same.
 */
import { createHash } from 'node:crypto'
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, roomFeatures } from '../../db/schema/index.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import { readRoomFeatures } from '../../matrix/room-features.ts'

type Content = Readonly<Record<string, unknown>>

/** Names a content in the rows of chats. */
export function featuresDigest(content: Content): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)
}

/**
 * Stores a content once. It writes with the transaction of its caller, which stores a batch or runs
 * `learnFeatures`.
 */
export type FeaturesWriter = (digest: string, content: Content) => void

export function createFeaturesWriter({ orm }: Pick<Db, 'orm'>): FeaturesWriter {
  const insert = orm
    .insert(roomFeatures)
    .values({ digest: sql.placeholder('digest'), content: sql.placeholder('content') })
    .onConflictDoNothing()
    .prepare()
  return (digest, content) => void insert.run({ digest, content })
}

export interface ChatFeatures {
  /** @returns null where the bridge says nothing */
  featuresOf(chat: Pick<Chat, 'features'>): RoomFeatures | null
  /**
   * Notes the features in a chat's room.
   * @param content of the state, null where there is none
   * @returns the chat's `features`
   */
  learnFeatures(identityId: string, roomId: string, content: Content | null): Promise<string>
}

/** Networks have a few kinds of chat each. */
const MAX_CACHED = 256

export function createChatFeatures(db: Db): ChatFeatures {
  const { orm, committer } = db
  const write = createFeaturesWriter(db)
  const byDigest = orm
    .select({ content: roomFeatures.content })
    .from(roomFeatures)
    .where(eq(roomFeatures.digest, sql.placeholder('digest')))
    .prepare()
  /** Rows never change. */
  const cached = new Map<string, RoomFeatures>()

  return {
    featuresOf({ features: digest }) {
      if (!digest) return null
      const known = cached.get(digest)
      if (known) return known
      const row = byDigest.get({ digest })
      if (!row) return null
      if (cached.size >= MAX_CACHED) cached.clear()
      const features = readRoomFeatures(row.content)
      cached.set(digest, features)
      return features
    },

    learnFeatures: (identityId, roomId, content) =>
      committer.write(() => {
        const digest = content === null ? '' : featuresDigest(content)
        if (content !== null) write(digest, content)
        orm
          .update(chats)
          .set({ features: digest })
          // The bridge may have changed them since the state was read.
          .where(and(eq(chats.identityId, identityId), eq(chats.roomId, roomId), isNull(chats.features)))
          .run()
        return digest
      }),
  }
}
