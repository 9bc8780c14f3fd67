/** Room features: what a chat can do, and that what it can't do is refused for good. */
import { describe, expect, test } from 'bun:test'
import type { Features } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type Chat, newChat, type SceneOf } from './scene.ts'

type Json = Record<string, unknown>

const text = (body: string) => ({ msgtype: 'm.text', body })
const file = (msgtype: string, mimetype: string, more: Json = {}) => ({
  msgtype,
  body: 'file',
  filename: 'file',
  url: 'mxc://nowhere/nothing',
  info: { mimetype, size: 1_000 },
  ...more,
})

export function featureCases(scene: SceneOf): void {
  const send = ({ user, portal }: Chat, content: Json) =>
    scene().bridge.send(user, portal.id, 'm.room.message', content)

  /** Sends an edit. @returns its id */
  const edit = (chat: Chat, event: string, body: string) =>
    send(chat, {
      ...text(`* ${body}`),
      'm.new_content': text(body),
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    })

  /** Refused by bridgev2, which calls all that retriable, or by the network's own part. */
  const fails = async ({ portal }: Chat, event: string, message: string, by: 'bridgev2' | 'network') => {
    expect(await portal.statusOf(event)).toMatchObject({
      ...(by === 'bridgev2'
        ? { status: 'FAIL_RETRIABLE', reason: 'com.beeper.unsupported_event' }
        : { status: 'FAIL_PERMANENT' }),
      message: expect.stringContaining(message),
    })
  }

  test('a room has those of WhatsApp', async () => {
    const { portal } = await newChat(scene())
    const features = await waitFor(() => portal.stateOf('com.beeper.room_features'))
    expect(features).toMatchObject({
      file: {
        'm.image': { mime_types: { 'image/jpeg': 2, 'image/png': 1 }, caption: 2, max_size: 104_857_600 },
        'm.audio': { caption: -1 },
        'org.matrix.msc3245.voice': { mime_types: { 'audio/ogg; codecs=opus': 2 } },
        'm.file': { mime_types: { '*/*': 2 } },
      },
      max_text_length: 20_000,
      poll: 2,
      poll_max_options: 12,
      edit: 2,
      edit_max_age: 900,
      delete_max_age: 172_800,
      reaction_count: 1,
    })
  })

  test('those of a chat can differ, and change while it goes on', async () => {
    const { friend, portal } = await newChat(scene(), { features: { edit_max_age: 86_400, reaction: -2 } })
    const features = await waitFor(() => portal.stateOf('com.beeper.room_features'))
    expect(features).toMatchObject({ edit_max_age: 86_400, reaction: -2, max_text_length: 20_000 })
    await friend.change({ features: { max_text_length: 10 } })
    await waitFor(async () => (await portal.stateOf('com.beeper.room_features'))?.max_text_length === 10)
  })

  test('so can those of a group', async () => {
    const { bridge, testnet } = scene()
    const { phone, friend } = await newChat(scene())
    const group = await testnet.newGroup('Strict', friend, [phone], { features: 'strict' })
    const portal = await bridge.portal(group.id)
    const features = await waitFor(() => portal.stateOf('com.beeper.room_features'))
    expect(features).toMatchObject({ max_text_length: 160, location_message: -2 })
    await testnet.changeGroup(group.id, { features: 'usual' })
    const usual = await waitFor(async () => {
      const changed = await portal.stateOf('com.beeper.room_features')
      return changed?.max_text_length === 20_000 && changed
    })
    expect(usual).toMatchObject({
      state: { 'm.room.name': { level: 2 } },
      member_actions: { invite: 2, kick: 2, leave: 2 },
    })
  })

  describe('a strict chat refuses', () => {
    test.each<[string, Json, string, 'bridgev2' | 'network']>([
      ['a long text', text('x'.repeat(161)), 'a text has at most 160 characters, not 161', 'network'],
      ['a type of file', file('m.image', 'image/png'), 'unsupported media type (image/png', 'bridgev2'],
      ['a kind of file', file('m.video', 'video/mp4'), 'unsupported message type', 'bridgev2'],
      [
        'a caption',
        file('m.image', 'image/jpeg', { body: 'look' }),
        'captions are not supported',
        'bridgev2',
      ],
      [
        'a long caption',
        file('m.file', 'application/pdf', { body: 'x'.repeat(21) }),
        'a caption has at most 20 characters, not 21',
        'network',
      ],
      [
        'a large file',
        file('m.image', 'image/jpeg', { info: { mimetype: 'image/jpeg', size: 70_000 } }),
        'media too large',
        'bridgev2',
      ],
      ['a location', { msgtype: 'm.location', body: 'here', geo_uri: 'geo:1,2' }, 'location', 'bridgev2'],
    ])('%s', async (_, content, message, by) => {
      const chat = await strict()
      await fails(chat, await send(chat, content), message, by)
      expect(await chat.friend.receivedTexts()).toEqual([])
    })

    test('a reaction that is not among those allowed', async () => {
      const { bridge } = scene()
      const chat = await strict({ allowed_reactions: ['👍'] })
      const { event_id } = await chat.portal.waitForBody('hello')
      const react = (key: string) =>
        bridge.send(chat.user, chat.portal.id, 'm.reaction', {
          'm.relates_to': { rel_type: 'm.annotation', event_id, key },
        })
      await fails(chat, await react('👎'), "isn't allowed", 'network')
      expect(await chat.portal.statusOf(await react('👍'))).toMatchObject({ status: 'SUCCESS' })
    })

    test('polls and reactions', async () => {
      const chat = await strict()
      const { bridge } = scene()
      const question = { 'org.matrix.msc1767.text': 'Where?' }
      const start = { kind: 'org.matrix.msc3381.poll.disclosed', max_selections: 1, question, answers: [] }
      const type = 'org.matrix.msc3381.poll.start'
      await fails(
        chat,
        await bridge.send(chat.user, chat.portal.id, type, { [type]: start }),
        'Polls',
        'network',
      )
      const { event_id } = await chat.portal.waitForBody('hello')
      const reaction = { 'm.relates_to': { rel_type: 'm.annotation', event_id, key: '👍' } }
      await fails(
        chat,
        await bridge.send(chat.user, chat.portal.id, 'm.reaction', reaction),
        'Reactions',
        'network',
      )
    })

    test('a second edit of a message, and one that comes too late; deleting it then, too', async () => {
      const { bridge } = scene()
      const chat = await strict({ edit_max_age: 1, edit_max_count: 1, delete_max_age: 1 })
      const event = await send(chat, text('firts'))
      expect(await chat.portal.statusOf(event)).toMatchObject({ status: 'SUCCESS' })
      const first = await edit(chat, event, 'first')
      expect(await chat.portal.statusOf(first)).toMatchObject({ status: 'SUCCESS' })
      await chat.friend.waitForText('first')
      await fails(chat, await edit(chat, event, 'second'), 'edited too many times', 'bridgev2')
      await waitFor(async () => {
        const late = await chat.portal.statusOf(await edit(chat, event, 'late'))
        return /too old/.test(late.message ?? '')
      })
      await fails(chat, await bridge.redact(chat.user, chat.portal.id, event), 'too old', 'network')
      expect(await chat.friend.receivedTexts()).toEqual(['first'])
    })
  })

  const strict = (features: Features = 'strict') => newChat(scene(), { features })
}
