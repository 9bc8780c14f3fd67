/** Who types in a chat, as those who listen are told. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { TypingNotice } from '../../../src/domain/ports.ts'
import type { TypingEvent } from '../../../src/domain/views/event.ts'
import { LiveEvents } from '../../../src/modules/events/live-events.ts'
import { createTyping } from '../../../src/modules/receiving/typing.ts'
import { insertChat, insertDevice, insertIdentity } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

let module: ReturnType<typeof testModule>
let live: LiveEvents
let heard: TypingEvent[]
let typing: ReturnType<typeof createTyping>
beforeEach(() => {
  module = testModule()
  live = new LiveEvents()
  heard = []
  typing = createTyping({ ...module, live })
  insertDevice(module.db)
  insertChat(module.db)
})
afterEach(() => module.db.destroy())

const listen = (identityId = 'id_1') => live.listen(identityId, event => void heard.push(event))
const notice = (...userIds: string[]): TypingNotice[] => [{ roomId: '!r:s', userIds }]
const told = () => heard.map(({ sender, typing }) => [sender.id, typing])
async function hears(count: number): Promise<void> {
  await waitFor(() => heard.length === count, { what: `${count} events` })
}

test('those who begin and those who end, with who and where they are', async () => {
  listen()
  typing(notice('@whatsapp_1:s'), null)
  typing(notice('@whatsapp_1:s', '@whatsapp_2:s'), null)
  typing(notice(), null)
  await hears(4)
  expect(told()).toEqual([
    ['@whatsapp_1:s', true],
    ['@whatsapp_2:s', true],
    ['@whatsapp_1:s', false],
    ['@whatsapp_2:s', false],
  ])
  expect(heard[0]).toEqual({
    event: 'chat.typing',
    timestamp: expect.any(String),
    device_id: '237',
    platform: 'wa',
    chat_id: expect.stringMatching(/^chat_/),
    chat: { id: '!r:s', kind: 'dm', name: 'Jonas' },
    sender: { id: '@whatsapp_1:s', phone: null, name: '' },
    typing: true,
  })
})

test('not the account itself, nor the bridge’s bot', async () => {
  listen()
  typing(notice('@mg1:s', '@whatsapp_237:s', '@whatsappbot:s'), null)
  typing(notice('@whatsapp_1:s'), null)
  await hears(1)
  expect(told()).toEqual([['@whatsapp_1:s', true]])
})

test('to the identity that a /sync is of, and only while it listens', async () => {
  insertIdentity(module.db, 'id_2', '@mg2:s')
  insertDevice(module.db, { id: 'dev_2', identityId: 'id_2' })
  insertChat(module.db, { identityId: 'id_2' })
  typing(notice('@whatsapp_9:s'), null)
  listen('id_2')
  typing(notice('@whatsapp_1:s'), '@mg1:s')
  typing(notice('@whatsapp_2:s'), '@mg2:s')
  await hears(1)
  expect(told()).toEqual([['@whatsapp_2:s', true]])
})
