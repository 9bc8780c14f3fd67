/** Statements that find a few rows among very many read only those rows. */
import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test'
import { createChatRepository } from '../../../src/modules/chats/chat-repository.ts'
import { createPeopleRepository } from '../../../src/modules/chats/people-repository.ts'
import { createChatListRepository } from '../../../src/modules/conversations/chat-list-repository.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createHistoryRepository } from '../../../src/modules/history/history-repository.ts'
import { createScheduleRepository } from '../../../src/modules/upkeep/schedule-repository.ts'
import { createWebhookRepository } from '../../../src/modules/webhooks/webhook-repository.ts'
import { messageStore } from '../../support/messages.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

/** @returns SQLite's search plans of the statements that `work` prepares */
async function searchesOf(work: () => unknown): Promise<string[]> {
  const prepare = spyOn(db.connection, 'prepare')
  await work()
  const statements = prepare.mock.calls.map(([text]) => text)
  prepare.mockRestore()
  return statements
    .flatMap(text => {
      // The plan of a write keeps its statement under way, and its transaction, until it is ended.
      using plan = db.connection.prepare<{ detail: string }, null[]>(`EXPLAIN QUERY PLAN ${text}`)
      return plan.all(...Array(text.split('?').length - 1).fill(null))
    })
    .map(({ detail }) => detail)
}

test('a chat is found among all of an identity by its id, its person, its id on the network, or as a group', async () => {
  const chats = createChatRepository(db)
  const device = { identityId: 'id_1', platform: 'wa', loginId: '237' }
  const searches = await searchesOf(async () => {
    await chats.directWith(device, '@whatsapp_1:s')
    await chats.ofDevice(device, '1')
    await chats.groupsOf(device)
    await chats.find('id_1', 'chat_1')
  })
  expect(searches).toContain('SEARCH chats USING INDEX chats_peer (identity_id=? AND peer=?)')
  expect(searches).toContain(
    'SEARCH chats USING INDEX chats_channel (identity_id=? AND platform=? AND channel_id=?)',
  )
  expect(searches).toContain('SEARCH chats USING INDEX chats_groups (identity_id=? AND platform=?)')
  expect(searches).toContain('SEARCH chats USING INDEX chats_id (id=?)')
  expect(searches).not.toContain('SEARCH chats USING PRIMARY KEY (identity_id=?)')
})

test('a page of chats is read in its order, and nothing beside it', async () => {
  const list = createChatListRepository(db)
  const filter = { identityId: 'id_1', platform: null, kind: null, device: null }
  const searches = await searchesOf(() => list.behind(filter, [1, ''], 100))
  expect(searches).toEqual([
    'SEARCH chats USING INDEX chats_active (identity_id=? AND activity_at>? AND (activity_at,id)<(?,?))',
  ])
})

test('a quoted event and what a closed room still holds are found by their rooms', async () => {
  const { queue } = messageStore(db)
  const searches = await searchesOf(async () => {
    await queue.isQuoteLost('id_1', '$e', '!r:s')
    await queue.settleClosedRoom('id_1', '!r:s', 1)
    await queue.closedRooms()
    await queue.overtakes({ lane: 'd/k', seq: 2 })
  })
  expect(searches).toContain('SEARCH chats USING PRIMARY KEY (identity_id=? AND room_id=?)')
  expect(searches).toContain('SEARCH messages USING INDEX messages_event (event_id=?)')
  expect(searches).toContain('SEARCH messages USING INDEX messages_unread (room_id=?)')
  expect(searches).toContain('SEARCH messages USING INDEX messages_waiting (lane=? AND seq<?)')
  // That index holds nothing but what nobody has spoken of yet.
  expect(searches.filter(search => search.startsWith('SCAN'))).toEqual([
    'SCAN messages USING INDEX messages_silent',
  ])
})

test('a contact is found in an address book by its number', async () => {
  const contacts = createPeopleRepository(db)
  const searches = await searchesOf(() => contacts.findContact('dev_1', '@whatsapp_1:s', '237'))
  expect(searches).toContain('SEARCH contacts USING INDEX contacts_phone (device_row_id=? AND phone=?)')
  expect(searches).not.toContain('SEARCH contacts USING PRIMARY KEY (device_row_id=?)')
})

test('a stranger, as most senders are, is looked for by two statements', async () => {
  const contacts = createPeopleRepository(db)
  const prepare = spyOn(db.connection, 'prepare')
  expect(await contacts.findContact('dev_1', '@whatsapp_1:s', '237')).toBeNull()
  expect(prepare).toHaveBeenCalledTimes(2)
})

test('what is left of removed webhooks is looked for a webhook at a time, however many deliveries it has', async () => {
  const webhooks = createWebhookRepository(db, { maxPerIdentity: 1, health: { reset() {} } })
  expect(await searchesOf(() => webhooks.removeOrphans())).toContain(
    'SEARCH deliveries USING COVERING INDEX deliveries_event ((identity_id,webhook_id,event_seq)>(?,?,?))',
  )
})

test('the probe looks for a platform’s devices among them alone, as most platforms may have none', async () => {
  const devices = createDeviceRepository(db)
  expect(await searchesOf(() => devices.identitiesWith('wa', '', 10))).toContain(
    'SEARCH devices USING INDEX devices_platform (platform=? AND identity_id>?)',
  )
})

const MESSAGE = {
  id: 'msg_1',
  identityId: 'id_1',
  deviceRowId: 'dev_1',
  lane: 'dev_1/a',
  recipientKind: 'contact' as const,
  recipient: 'a',
  text: 'hello',
  mediaId: null,
  replyTo: null,
  expiresAt: null,
}

test('the outbox looks at devices that are due, and at their lanes that are, whatever else waits', async () => {
  insertIdentity(db)
  insertDevice(db)
  const store = messageStore(db)
  await store.repository.accept([MESSAGE], undefined, 0)
  const paceOf = () => ({ intervalMs: 1, jitter: 0, burst: 1 })
  const searches = await searchesOf(async () => {
    await store.queue.claim({ leaseId: 'l', now: 1, maxLanes: 8, maxMessagesPerLane: 8, paceOf })
    await store.queue.nextDueAt()
    await store.queue.wake('dev_1', 1)
  })
  const lanesOfDevice = 'outbox_lanes USING INDEX outbox_lanes_due (device_row_id=?'
  expect(searches).toContain('SEARCH outbox_devices USING INDEX outbox_devices_due (due_at<?)')
  expect(searches).toContain('SCAN outbox_devices USING COVERING INDEX outbox_devices_due')
  expect(searches).toContain(`SEARCH ${lanesOfDevice} AND due_at<?)`)
  expect(searches).toContain(`SEARCH ${lanesOfDevice} AND due_at>?)`)
  expect(searches).toContain(`SEARCH ${lanesOfDevice})`)
  expect(searches.filter(step => /SCAN (outbox_lanes|messages)/.test(step))).toEqual([])
})

test('of scheduled messages only those are looked at that are due, or of a deleted device', async () => {
  insertIdentity(db)
  insertDevice(db)
  const store = messageStore(db)
  const schedule = createScheduleRepository(db)
  await store.repository.accept([{ ...MESSAGE, sendAt: 5 }], undefined, 0)
  const searches = await searchesOf(async () => {
    await schedule.queueDue(9, 10)
    await schedule.nextAt(1)
    await store.endings.discardedQueues()
    await store.endings.failDiscarded('dev_1', 10, 1)
  })
  expect(searches).toContain('SEARCH messages USING INDEX messages_scheduled (send_at<?)')
  expect(searches).toContain('SEARCH messages USING COVERING INDEX messages_scheduled (send_at>?)')
  expect(searches).toContain('SEARCH messages USING INDEX messages_scheduled_lanes (lane>? AND lane<?)')
  expect(searches.filter(step => /SCAN messages/.test(step))).toEqual([])
})

test('when messages are due is counted within indexes', async () => {
  insertIdentity(db)
  insertDevice(db)
  const store = messageStore(db)
  for (const id of ['msg_1', 'msg_2']) await store.repository.accept([{ ...MESSAGE, id }], undefined, 0)
  const queued = db.orm.query.messages.findMany().sync()
  const searches = await searchesOf(() => store.waiting.turns('dev_1', queued, 1))
  expect(searches.filter(step => /outbox_lanes|messages/.test(step)).toSorted()).toEqual([
    'SEARCH messages USING INDEX messages_waiting (lane=? AND seq>? AND seq<?)',
    'SEARCH messages USING INDEX messages_waiting (lane>? AND lane<?)',
    'SEARCH outbox_lanes USING COVERING INDEX outbox_lanes_due (device_row_id=? AND due_at>? AND due_at<?)',
    'SEARCH outbox_lanes USING INDEX outbox_lanes_due (device_row_id=? AND due_at>?)',
    'SEARCH outbox_lanes USING PRIMARY KEY (lane=?)',
    'SEARCH outbox_lanes USING PRIMARY KEY (lane=?) LEFT-JOIN',
  ])
})

test('a start looks for portals that are half made among them alone', () => {
  const [plan] = db.connection
    .query<{ detail: string }, []>(
      "EXPLAIN QUERY PLAN SELECT * FROM sandbox_portal WHERE platform = '' AND room_id IS NULL",
    )
    .all()
  expect(plan?.detail).toBe('SEARCH sandbox_portal USING INDEX sandbox_portal_unfinished (platform=?)')
})

test('the history of removed devices is found by their devices', async () => {
  const { deleteOfRemovedDevices } = createHistoryRepository(db)
  expect(await searchesOf(() => deleteOfRemovedDevices(1))).toContain(
    'SEARCH m USING INDEX chat_messages_device (device_row_id=?)',
  )
})
