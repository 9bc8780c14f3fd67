/** SQL of the chats table, as joining and sending need it. */
import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats } from '../../db/schema/index.ts'
import type { ChatMembership } from '../../domain/states.ts'

export interface ChatRepository {
  get(identityId: string, roomId: string): Promise<Chat | null>
  /** The joined or invited chat with this id on the network. */
  byChannel(identityId: string, platform: string, channelId: string): Promise<Chat | null>
  /** Chats that aren't joined yet, the longest waiting first. */
  unfinished(): Promise<Chat[]>
  /** Notes a membership; makes the row when the room is new to us. */
  setMembership(identityId: string, roomId: string, membership: ChatMembership, now: number): Promise<void>
}

export function createChatRepository({ orm, committer }: Db): ChatRepository {
  const one = orm
    .select()
    .from(chats)
    .where(
      and(eq(chats.identityId, sql.placeholder('identityId')), eq(chats.roomId, sql.placeholder('roomId'))),
    )
    .prepare()
  const waiting = orm
    .select()
    .from(chats)
    // Spelled out, as a partial index is found by its text.
    .where(sql`${chats.membership} in ('invited', 'joining')`)
    .orderBy(asc(chats.updatedAt))
    .prepare()

  return {
    get: async (identityId, roomId) => one.get({ identityId, roomId }) ?? null,

    byChannel: async (identityId, platform, channelId) =>
      orm
        .select()
        .from(chats)
        .where(
          and(
            eq(chats.identityId, identityId),
            eq(chats.platform, platform),
            eq(chats.channelId, channelId),
            inArray(chats.membership, ['invited', 'joining', 'joined']),
          ),
        )
        .get() ?? null,

    unfinished: async () => waiting.all(),

    setMembership: (identityId, roomId, membership, now) =>
      committer.write(() => {
        const unknown = {
          kind: 'other',
          platform: null,
          bridgeBot: null,
          channelId: null,
          receiver: null,
        } as const
        orm
          .insert(chats)
          .values({
            identityId,
            roomId,
            membership,
            ...unknown,
            name: '',
            encrypted: false,
            createdAt: now,
            updatedAt: now,
          })
          .onConflictDoUpdate({
            target: [chats.identityId, chats.roomId],
            set: { membership, updatedAt: now },
          })
          .run()
      }),
  }
}
