/** Rows most module tests start from: an identity with a linked device and a joined chat. */

import type { Db } from '../../src/db/open.ts'
import {
  type Chat,
  chats,
  type Device,
  devices,
  events,
  identities,
  messages,
  tokens,
  webhooks,
} from '../../src/db/schema/index.ts'
import type { TempDb } from './temp-db.ts'

export const LINKED_AT = Date.UTC(2026, 3, 27, 9, 0, 0)

export function insertIdentity(db: Db, id = 'id_1', matrixUserId = '@mg1:s'): string {
  const times = { createdAt: LINKED_AT, updatedAt: LINKED_AT }
  db.orm
    .insert(identities)
    .values({ id, matrixUserId, matrixDeviceId: 'D', isHost: false, ...times })
    .run()
  return id
}

/** A token of the identity, without a credential. */
export function insertToken(db: TempDb, change: Partial<typeof tokens.$inferInsert> = {}): void {
  const times = { createdAt: LINKED_AT, updatedAt: LINKED_AT }
  db.orm
    .insert(tokens)
    .values({ tokenHash: `hash-${Math.random()}`, identityId: 'id_1', isAdmin: false, ...times, ...change })
    .run()
}

export function insertDevice(db: TempDb, change: Partial<Device> = {}): Device {
  return db.orm
    .insert(devices)
    .values({
      id: 'dev_1',
      identityId: 'id_1',
      platform: 'wa',
      loginId: '237',
      deviceId: '237',
      phone: '237',
      name: 'Amina',
      ghostUserId: '@whatsapp_237:s',
      state: 'connected',
      stateReason: null,
      stateSince: LINKED_AT,
      linkedAt: LINKED_AT,
      createdAt: LINKED_AT,
      updatedAt: LINKED_AT,
      ...change,
    })
    .returning()
    .get()
}

export function insertChat(db: TempDb, change: Partial<Chat> = {}): Chat {
  return db.orm
    .insert(chats)
    .values({
      identityId: 'id_1',
      roomId: '!r:s',
      membership: 'joined',
      kind: 'dm',
      platform: 'wa',
      bridgeBot: '@whatsappbot:s',
      channelId: '1@s.whatsapp.net',
      receiver: '237',
      name: 'Jonas',
      encrypted: false,
      peer: null,
      activityAt: LINKED_AT,
      createdAt: LINKED_AT,
      updatedAt: LINKED_AT,
      ...change,
    })
    .returning()
    .get()
}

export function insertWebhook(db: TempDb, change: Partial<typeof webhooks.$inferInsert> = {}): void {
  db.orm
    .insert(webhooks)
    .values({
      identityId: 'id_1',
      id: 1,
      url: 'http://127.0.0.1:1/hook',
      active: true,
      secretSealed: 'sealed',
      disabledReason: null,
      createdAt: LINKED_AT,
      updatedAt: LINKED_AT,
      ...change,
    })
    .run()
}

/** A message that the device handed over. */
export function insertMessage(db: TempDb, change: Partial<typeof messages.$inferInsert> = {}): void {
  db.orm
    .insert(messages)
    .values({
      id: 'msg_0',
      identityId: 'id_1',
      deviceRowId: 'dev_1',
      lane: 'dev_1/contact:1',
      recipientKind: 'contact',
      recipient: '1',
      text: 'hi',
      status: 'sent',
      attempts: 1,
      resends: 0,
      createdAt: LINKED_AT,
      updatedAt: LINKED_AT,
      ...change,
    })
    .run()
}

/** A message that the device received. */
export function insertEvent(db: TempDb, change: Partial<typeof events.$inferInsert> = {}): void {
  db.orm
    .insert(events)
    .values({
      identityId: 'id_1',
      eventId: '$1',
      name: 'message.received',
      roomId: '!r:s',
      deviceRowId: 'dev_1',
      senderUserId: '@whatsapp_1:s',
      mediaId: null,
      payload: { event: 'message.received', message: 'hi' } as never,
      receivedAt: LINKED_AT,
      ...change,
    })
    .run()
}
