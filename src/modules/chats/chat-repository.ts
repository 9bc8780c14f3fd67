/**
 * SQL of the chats table, as joining and sending need it, and of their rooms' features: each
 * content is stored once, as nearly all chats of a network have the same.
 */
import { createHash } from 'node:crypto'
import { and, asc, desc, eq, isNull, ne, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'
import type { Db } from '../../db/open.ts'
import type { Values } from '../../db/prepared.ts'
import { equal, given, rowsBy } from '../../db/row-statements.ts'
import { type Chat, chats, type Device, roomFeatures } from '../../db/schema/index.ts'
import { ONE, textParam } from '../../db/stable-params.ts'
import { type Statement, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import type { ChatMembership } from '../../domain/states.ts'
import { readRoomFeatures } from '../../matrix/room-features.ts'

/** Who sends: one login of an identity. */
export type ChatOwner = Pick<Device, 'identityId' | 'platform' | 'loginId'>

/** True when the device's messages there go out by its own login, not by another one. */
export function isChatOf(device: ChatOwner, chat: Pick<Chat, 'platform' | 'receiver'>): boolean {
  return chat.platform === device.platform && (chat.receiver === null || chat.receiver === device.loginId)
}

type Content = Readonly<Record<string, unknown>>

/** A content under the name that rows of chats have for it. */
export interface Features {
  digest: string
  content: Content
}

/** Columns that the state of a room tells. */
export type DescribedColumns = Partial<
  Pick<
    Chat,
    | 'kind'
    | 'bridgeBot'
    | 'platform'
    | 'channelId'
    | 'receiver'
    | 'name'
    | 'topic'
    | 'avatar'
    | 'memberCount'
    | 'encrypted'
    | 'features'
    | 'movedTo'
  >
>

/** A chat moves once or twice; rooms may name each other. */
export const MAX_MOVES = 5
/** Networks have a few kinds of chat each. */
const MAX_CACHED_FEATURES = 256

const param = sql.placeholder
const one = rowsBy(chats, 'identityId', 'roomId')
const byId = rowsBy(chats, 'identityId', 'id')
const byChannel = rowsBy(chats, 'identityId', 'platform', 'channelId')
const byPeer = statement(orm =>
  orm
    .select()
    .from(chats)
    .where(equal(chats, 'identityId', 'peer'))
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
/** A chat whose room nobody has looked at. */
export const UNKNOWN_CHAT = {
  kind: 'other',
  platform: null,
  bridgeBot: null,
  channelId: null,
  receiver: null,
  name: '',
  encrypted: false,
  movedTo: null,
  avatar: null,
  topic: null,
  memberCount: null,
  muted: false,
  archived: false,
} as const

// Spelled out, as a partial index is found by its text.
const isMovedTo = sql`${equal(chats, 'identityId', 'movedTo')} and ${chats.movedTo} is not null`
const allMovedTo = statement(orm => orm.select().from(chats).where(isMovedTo))
const oldestMovedTo = statement(orm =>
  orm.select().from(chats).where(isMovedTo).orderBy(asc(chats.id)).limit(ONE),
)
const giveId = statement(orm =>
  orm
    .update(chats)
    .set({ id: sql`${param('id')}` })
    .where(equal(chats, 'identityId', 'roomId')),
)

/**
 * Settles what follows from a chat that is new or has moved.
 * @param movedTo the room in which it goes on, if that has just become known
 */
export async function settleMoves(
  tx: Tx,
  identityId: string,
  roomId: string,
  movedTo?: string | null,
): Promise<void> {
  await keepOldestId(tx, identityId, roomId)
  if (movedTo) tx.emit('moved')
}

/**
 * Gives a chat the oldest id of the rooms that it was in before; the other id leads here through
 * its room.
 */
async function keepOldestId(tx: Tx, identityId: string, firstRoom: string): Promise<void> {
  let roomId: string | null = firstRoom
  for (let moves = 0; roomId !== null && moves < MAX_MOVES; moves++) {
    const chat: Chat | undefined = await tx.get(one, { identityId, roomId })
    const before = await tx.get(oldestMovedTo, { identityId, movedTo: roomId })
    if (chat && before && before.id < chat.id) {
      await tx.run(giveId, { identityId, roomId: before.roomId, id: '' })
      await tx.run(giveId, { identityId, roomId, id: before.id })
      await tx.run(giveId, { identityId, roomId: before.roomId, id: chat.id })
    }
    roomId = chat?.movedTo ?? null
  }
}

const insertFeatures = statement(orm =>
  orm.insert(roomFeatures).values(given('digest', 'content')).onConflictDoNothing(),
)
const featuresByDigest = rowsBy(roomFeatures, 'digest')

/** True unless we are out of the chat's room and don't know of another. */
export function isReachable({ membership, movedTo }: Pick<Chat, 'membership' | 'movedTo'>): boolean {
  return membership !== 'left' || movedTo !== null
}

/** @returns the features under the name that rows of chats have for this content */
export function featuresOf(content: Content): Features {
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)
  return { digest, content }
}

/** Stores a content once. */
export function rememberFeatures(tx: Tx, features: Features): Promise<void> {
  return tx.run(insertFeatures, { ...features })
}

export type ChatRepository = ReturnType<typeof createChatRepository>

export function createChatRepository(db: Pick<Db, 'read' | 'write'>) {
  /** By digest; rows of features never change. */
  const cached = new LRUCache<string, RoomFeatures>({ max: MAX_CACHED_FEATURES })

  async function get(identityId: string, roomId: string): Promise<Chat | null> {
    return (await db.read(reader => reader.get(one, { identityId, roomId }))) ?? null
  }

  /** @returns the chat of the room in which this one goes on, as far as it is known to us */
  async function living<Known extends Pick<Chat, 'movedTo'>>(
    identityId: string,
    chat: Known,
  ): Promise<Known | Chat> {
    let last: Known | Chat = chat
    for (let moves = 0; last.movedTo !== null && moves < MAX_MOVES; moves++) {
      const next = await get(identityId, last.movedTo)
      if (!next) break
      last = next
    }
    return last
  }

  /** @returns the first of the chats that the device can write to, where it goes on */
  async function firstOf(device: ChatOwner, found: Statement<Chat>, by: Partial<Chat>): Promise<Chat | null> {
    const { identityId, platform } = device
    const rows = await db.read(reader => reader.all(found, { identityId, platform, ...by }))
    const own = rows.filter(chat => isReachable(chat) && isChatOf(device, chat))
    const first = own.find(chat => chat.movedTo === null) ?? own[0]
    return first ? living(identityId, first) : null
  }

  /** @returns the row that has this id, or this room; the chat may go on in another one */
  async function named(identityId: string, reference: string): Promise<Chat | null> {
    if (reference.startsWith('!')) return get(identityId, reference)
    return (await db.read(reader => reader.get(byId, { identityId, id: reference }))) ?? null
  }

  return {
    get,

    living,

    named,

    /**
     * Finds a chat by its id, or by the id of a room that it is or was in.
     * @returns the chat where it goes on
     */
    async find(identityId: string, reference: string): Promise<Chat | null> {
      const chat = await named(identityId, reference)
      return chat ? living(identityId, chat) : null
    },

    /** The chats of the rooms that their bridge has closed for this one, the last first. */
    async movedInto(identityId: string, roomId: string): Promise<Chat[]> {
      const before: Chat[] = []
      let movedTo: string | undefined = roomId
      for (let moves = 0; movedTo !== undefined && moves < MAX_MOVES; moves++) {
        const values: Values = { identityId, movedTo }
        const found = await db.read(reader => reader.all(allMovedTo, values))
        before.push(...found)
        movedTo = found[0]?.roomId
      }
      return before
    },

    /** The chat with this id on the network, joined or invited, of this login or shared. */
    ofDevice: (device: ChatOwner, channelId: string) => firstOf(device, byChannel, { channelId }),

    /** The device's chat with this Matrix user alone, who has written there; the newest. */
    directWith: (device: ChatOwner, peer: string) => firstOf(device, byPeer, { peer }),

    /** The groups that the device can write to, by name. */
    async groupsOf(device: ChatOwner): Promise<Chat[]> {
      const { identityId, platform } = device
      const found = await db.read(reader => reader.all(groups, { identityId, platform }))
      return found
        .filter(chat => chat.movedTo === null && isChatOf(device, chat))
        .sort((one, other) => one.name.localeCompare(other.name) || (one.roomId < other.roomId ? -1 : 1))
    },

    /** Chats that aren't joined yet, the longest waiting first. */
    unfinished: () => db.read(reader => reader.all(waiting)),

    /** Notes a membership, also in a room that is new to us. A chat that is joined stays so. */
    setMembership: (identityId: string, roomId: string, membership: ChatMembership, now: number) =>
      db.write(async tx => {
        await tx.run(orm =>
          orm
            .insert(chats)
            .values({
              identityId,
              roomId,
              membership,
              ...UNKNOWN_CHAT,
              activityAt: now,
              createdAt: now,
              updatedAt: now,
            })
            .onConflictDoUpdate({
              target: [chats.identityId, chats.roomId],
              set: { membership, updatedAt: now },
              setWhere: ne(chats.membership, 'joined'),
            }),
        )
        await settleMoves(tx, identityId, roomId)
        if (membership === 'joining') tx.emit('invited')
      }),

    /** Writes what the state of a chat's room says. */
    describe: (
      identityId: string,
      roomId: string,
      { columns, features }: { columns: DescribedColumns; features: Features | null },
      now: number,
    ) =>
      db.write(async tx => {
        if (features) await rememberFeatures(tx, features)
        const chat = and(eq(chats.identityId, identityId), eq(chats.roomId, roomId))
        const set = { ...columns, updatedAt: now }
        await tx.run(orm => orm.update(chats).set(set).where(chat))
        if (columns.movedTo !== undefined) await settleMoves(tx, identityId, roomId, columns.movedTo)
      }),

    /** @returns the features of the chat's network; null where the bridge states none */
    async featuresOf({ features: digest }: Pick<Chat, 'features'>): Promise<RoomFeatures | null> {
      if (!digest) return null
      const known = cached.get(digest)
      if (known) return known
      const row = await db.read(reader => reader.get(featuresByDigest, { digest }))
      if (!row) return null
      const features = readRoomFeatures(row.content)
      cached.set(digest, features)
      return features
    },

    /**
     * Notes the features in a chat's room.
     * @param content of the state, null where there is none
     * @returns the chat's `features`
     */
    learnFeatures: (identityId: string, roomId: string, content: Content | null) =>
      db.write(async tx => {
        const features = content && featuresOf(content)
        if (features) await rememberFeatures(tx, features)
        const digest = features?.digest ?? ''
        // The bridge may have changed them since the state was read.
        const chat = and(eq(chats.identityId, identityId), eq(chats.roomId, roomId), isNull(chats.features))
        await tx.run(orm => orm.update(chats).set({ features: digest }).where(chat))
        return digest
      }),
  }
}
