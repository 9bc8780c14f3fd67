/** SQL of the chats table, as joining and sending need it. */
import { and, asc, desc, eq, ne, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, type Device } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { ChatMembership } from '../../domain/states.ts'
import type { columnsOf } from './description.ts'
import { type ChatFeatures, createChatFeatures, rememberFeatures } from './room-features-repository.ts'

/** Who sends: one login of an identity. */
export type ChatOwner = Pick<Device, 'identityId' | 'platform' | 'loginId'>

/** True when the device's messages there go out by its own login, not by another one. */
export function isChatOf(device: ChatOwner, chat: Pick<Chat, 'platform' | 'receiver'>): boolean {
  return chat.platform === device.platform && (chat.receiver === null || chat.receiver === device.loginId)
}

export interface ChatRepository extends ChatFeatures {
  get(identityId: string, roomId: string): Promise<Chat | null>
  /** The chat with this id on the network, joined or invited, of its login or shared by logins. */
  ofDevice(device: ChatOwner, channelId: string): Promise<Chat | null>
  /** The device's chat with this Matrix user alone, who has written there; the newest. */
  directWith(device: ChatOwner, matrixUserId: string): Promise<Chat | null>
  /** The groups that the device can write to, by name. */
  groupsOf(device: ChatOwner): Promise<Chat[]>
  /** Chats that aren't joined yet, the longest waiting first. */
  unfinished(): Promise<Chat[]>
  /**
   * Notes a membership; makes the row when the room is new to us. A chat that is joined stays so.
   */
  setMembership(identityId: string, roomId: string, membership: ChatMembership, now: number): Promise<void>
  /** Writes what the state of a chat's room says. */
  describe(
    identityId: string,
    roomId: string,
    described: ReturnType<typeof columnsOf>,
    now: number,
  ): Promise<void>
}

const param = sql.placeholder
const one = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(and(eq(chats.identityId, param('identityId')), eq(chats.roomId, param('roomId')))),
)
const byChannel = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(
      and(
        eq(chats.identityId, param('identityId')),
        eq(chats.platform, param('platform')),
        eq(chats.channelId, param('channelId')),
      ),
    ),
)
const byPeer = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(and(eq(chats.identityId, param('identityId')), eq(chats.peer, param('peer'))))
    .orderBy(desc(chats.createdAt)),
)
const groups = statement(orm =>
  orm
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
    ),
)
const waiting = statement(orm =>
  orm
    .select()
    .from(chats)
    // Spelled out, as a partial index is found by its text.
    .where(sql`${chats.membership} in ('invited', 'joining')`)
    .orderBy(asc(chats.updatedAt)),
)
const UNKNOWN = {
  kind: 'other',
  platform: null,
  bridgeBot: null,
  channelId: null,
  receiver: null,
  name: '',
  encrypted: false,
} as const

export function createChatRepository(db: Pick<Db, 'read' | 'write'>): ChatRepository {
  return {
    ...createChatFeatures(db),

    get: async (identityId, roomId) =>
      (await db.read(reader => reader.get(one, { identityId, roomId }))) ?? null,

    async ofDevice(device, channelId) {
      const { identityId, platform } = device
      const found = await db.read(reader => reader.all(byChannel, { identityId, platform, channelId }))
      return found.find(chat => chat.membership !== 'left' && isChatOf(device, chat)) ?? null
    },

    async directWith(device, peer) {
      const { identityId } = device
      const found = await db.read(reader => reader.all(byPeer, { identityId, peer }))
      return found.find(chat => chat.membership !== 'left' && isChatOf(device, chat)) ?? null
    },

    async groupsOf(device) {
      const { identityId, platform } = device
      const found = await db.read(reader => reader.all(groups, { identityId, platform }))
      return found
        .filter(chat => isChatOf(device, chat))
        .sort((one, other) => one.name.localeCompare(other.name) || (one.roomId < other.roomId ? -1 : 1))
    },

    unfinished: () => db.read(reader => reader.all(waiting)),

    setMembership: (identityId, roomId, membership, now) =>
      db.write(async tx => {
        await tx.run(orm =>
          orm
            .insert(chats)
            .values({ identityId, roomId, membership, ...UNKNOWN, createdAt: now, updatedAt: now })
            .onConflictDoUpdate({
              target: [chats.identityId, chats.roomId],
              set: { membership, updatedAt: now },
              setWhere: ne(chats.membership, 'joined'),
            }),
        )
        if (membership === 'joining') tx.emit('invited')
      }),

    describe: (identityId, roomId, { columns, features }, now) =>
      db.write(async tx => {
        if (features) await rememberFeatures(tx, features)
        const chat = and(eq(chats.identityId, identityId), eq(chats.roomId, roomId))
        await tx.run(orm =>
          orm
            .update(chats)
            .set({ ...columns, updatedAt: now })
            .where(chat),
        )
      }),
  }
}
