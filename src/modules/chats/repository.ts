/** SQL of the chats table, as joining and sending need it. */
import { and, asc, desc, eq, ne, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, type Device } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import type { ChatMembership } from '../../domain/states.ts'
import { type ChatFeatures, createChatFeatures } from './room-features-repository.ts'

/** Who sends: one login of an identity. */
export type ChatOwner = Pick<Device, 'identityId' | 'platform' | 'loginId'>

/** Whether what the device sends in the chat goes out by its own login, and not by another of the identity. */
export function isChatOf(device: ChatOwner, chat: Pick<Chat, 'platform' | 'receiver'>): boolean {
  return chat.platform === device.platform && (chat.receiver === null || chat.receiver === device.loginId)
}

export interface ChatRepository extends ChatFeatures {
  get(identityId: string, roomId: string): Promise<Chat | null>
  /** The device's chat with this id on the network, joined or invited: one of its login, or one that logins share. */
  ofDevice(device: ChatOwner, channelId: string): Promise<Chat | null>
  /** The device's chat with this Matrix user alone, who has written there; the newest. */
  directWith(device: ChatOwner, matrixUserId: string): Promise<Chat | null>
  /** The groups that the device can write to, by name. */
  groupsOf(device: ChatOwner): Promise<Chat[]>
  /** Chats that aren't joined yet, the longest waiting first. */
  unfinished(): Promise<Chat[]>
  /** Notes a membership; makes the row when the room is new to us. */
  setMembership(identityId: string, roomId: string, membership: ChatMembership, now: number): Promise<void>
}

export function createChatRepository(db: Db): ChatRepository {
  const { orm, committer } = db
  const one = orm
    .select()
    .from(chats)
    .where(
      and(eq(chats.identityId, sql.placeholder('identityId')), eq(chats.roomId, sql.placeholder('roomId'))),
    )
    .prepare()
  const byChannel = orm
    .select()
    .from(chats)
    .where(
      and(
        eq(chats.identityId, sql.placeholder('identityId')),
        eq(chats.platform, sql.placeholder('platform')),
        eq(chats.channelId, sql.placeholder('channelId')),
      ),
    )
    .prepare()
  const byPeer = orm
    .select()
    .from(chats)
    .where(and(eq(chats.identityId, sql.placeholder('identityId')), eq(chats.peer, sql.placeholder('peer'))))
    .orderBy(desc(chats.createdAt))
    .prepare()
  const groups = orm
    .select()
    .from(chats)
    .where(
      and(
        eq(chats.identityId, textParam('identityId')),
        eq(chats.platform, textParam('platform')),
        // SQLite finds a partial index by its text, so the kind is spelled out: groups are few
        // among tens of thousands of chats.
        sql`${chats.kind} = 'group'`,
        ne(chats.membership, 'left'),
      ),
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
    ...createChatFeatures(db),

    get: async (identityId, roomId) => one.get({ identityId, roomId }) ?? null,

    ofDevice: async (device, channelId) => {
      const { identityId, platform } = device
      const found = byChannel.all({ identityId, platform, channelId })
      return found.find(chat => chat.membership !== 'left' && isChatOf(device, chat)) ?? null
    },

    directWith: async (device, peer) => {
      const found = byPeer.all({ identityId: device.identityId, peer })
      return found.find(chat => chat.membership !== 'left' && isChatOf(device, chat)) ?? null
    },

    groupsOf: async device =>
      groups
        .all({ identityId: device.identityId, platform: device.platform })
        .filter(chat => isChatOf(device, chat))
        .sort((one, other) => one.name.localeCompare(other.name) || (one.roomId < other.roomId ? -1 : 1)),

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
