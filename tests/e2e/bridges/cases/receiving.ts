/** Messages from the phones of a real bridge's network to a webhook. */
import { describe, expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import { bytesOf, pngOf } from '../../../support/files.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import type { TestnetDraft } from '../../../support/testnet-phone.ts'
import { type LinkedUser, link, linkedUser, type SettingOf, sendText, sharedPair } from './setting.ts'

export function receivingCases(setting: SettingOf): void {
  test('a text, and who sent it', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const stranger = await testnet.newPhone({ name: 'Grace' })
    await stranger.send({ to: user.phone.id, text: 'Grüße 👋\n"quoted" <b>' })
    const payload = await user.inbox.next()
    // Bun writes matchers into the compared object.
    expect(structuredClone(payload)).toMatchObject({
      id: expect.stringMatching(/^\$/),
      event: 'message.received',
      kind: 'text',
      type: 'm.text',
      message: 'Grüße 👋\n"quoted" <b>',
      is_contact: false,
      device_id: user.device,
      media: null,
      reply_to: null,
      relates_to: null,
      sender: { id: payload.from, phone: stranger.number, name: 'Grace' },
      chat: { kind: 'dm' },
    })
    expect(payload.from).toStartWith(`@testnet_${stranger.id}:`)
    expect(payload.to).toMatch(/^@mg\w+:/)
  })

  test('a contact is told from a stranger', async () => {
    const { testnet } = setting()
    const friend = await testnet.newPhone({ name: 'Friend' })
    await using user = await linkedUser(setting(), { contacts: [friend.id] })
    const stranger = await testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'a friend' })
    expect(await user.inbox.next()).toMatchObject({ message: 'a friend', is_contact: true })
    await stranger.send({ to: user.phone.id, text: 'a stranger' })
    expect(await user.inbox.next()).toMatchObject({ message: 'a stranger', is_contact: false })
  })

  test('what is too long for any event is the bridge’s to lose; the chat and all others go on', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const other = await setting().testnet.newPhone()
    for (const text of ['before', 'x'.repeat(70_000), 'after']) await friend.send({ to: user.phone.id, text })
    await other.send({ to: user.phone.id, text: 'elsewhere' })
    const texts = new Set<string>()
    while (!['before', 'after', 'elsewhere'].every(text => texts.has(text)))
      texts.add((await user.inbox.next()).message)
  })

  // A bridge with history makes a new chat with its last 50 messages.
  test('a phone that says much at once is heard in order, in a new chat and in a known one', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    for (const count of [50, 60]) {
      const texts = Array.from({ length: count }, (_, index) => `${index}: ${'long '.repeat(400)}`)
      for (const text of texts) await friend.send({ to: user.phone.id, text })
      for (const text of texts) expect((await user.inbox.next()).message).toBe(text)
    }
  })

  describe('from somebody known', () => {
    const pair = sharedPair(setting)

    test.each<[string, string, string, string, Uint8Array<ArrayBuffer>]>([
      ['image', 'm.image', 'view.png', 'image/png', pngOf(64, 48)],
      ['video', 'm.video', 'clip.mp4', 'video/mp4', bytesOf(70_000, 2)],
      ['audio', 'm.audio', 'song.mp3', 'audio/mpeg', bytesOf(50_000, 3)],
      ['voice', 'm.audio', 'voice.ogg', 'audio/ogg', bytesOf(20_000, 4)],
      ['file', 'm.file', 'report.pdf', 'application/pdf', bytesOf(300_000, 5)],
      ['sticker', 'm.sticker', 'smile.webp', 'image/webp', bytesOf(9_000, 6)],
    ])('%s comes with all its bytes', async (kind, type, name, mimeType, content) => {
      const { user, friend } = pair()
      const media = { data: content, file_name: name, mime_type: mimeType }
      await friend.send({ to: user.phone.id, type: kind as TestnetDraft['type'], media } as TestnetDraft)
      const payload = await user.inbox.next()
      expect(payload).toMatchObject({
        kind,
        type,
        media: { info: { size: content.length, mime_type: mimeType, file_name: name } },
      })
      await expectFile(payload, content)
    })

    test('a picture with a caption', async () => {
      const { user, friend } = pair()
      const media = {
        data: pngOf(30, 20),
        file_name: 'view.png',
        mime_type: 'image/png',
        width: 30,
        height: 20,
      }
      await friend.send({ to: user.phone.id, type: 'image', text: 'the view', media })
      expect(await user.inbox.next()).toMatchObject({
        kind: 'image',
        message: 'the view',
        media: { info: { file_name: 'view.png', width: 30, height: 20 } },
      })
    })

    test('a location', async () => {
      const { user, friend } = pair()
      const location = { latitude: 3.848, longitude: 11.502, name: 'Yaoundé' }
      await friend.send({ to: user.phone.id, type: 'location', location })
      expect(await user.inbox.next()).toMatchObject({
        kind: 'location',
        message: 'Yaoundé',
        location: { latitude: 3.848, longitude: 11.502 },
      })
    })

    test('a reply names the message that it answers, whoever sent that', async () => {
      const { user, friend } = pair()
      const ours = await sendText(user, friend, 'shall we?')
      const question = await friend.waitForText('shall we?')
      const answer = await friend.send({ to: user.phone.id, text: 'we shall', reply_to: question.id })
      const { id, reply_to } = await user.inbox.next()
      expect(reply_to).toBe(ours)
      await friend.send({ to: user.phone.id, text: 'really', reply_to: answer.id })
      expect(await user.inbox.next()).toMatchObject({ message: 'really', reply_to: id })
    })

    test('reactions, edits and deletions are events about the message', async () => {
      const { user, friend } = pair()
      const ours = await sendText(user, friend, 'look')
      await friend.react((await friend.waitForText('look')).id, '🎉')
      expect(await user.inbox.next()).toMatchObject({
        event: 'message.reaction',
        message: '🎉',
        relates_to: ours,
      })
      const theirs = await friend.send({ to: user.phone.id, text: 'tomorow' })
      const { id } = await user.inbox.next()
      await friend.edit(theirs.id, 'tomorrow')
      expect(await user.inbox.next()).toMatchObject({
        event: 'message.edited',
        message: 'tomorrow',
        relates_to: id,
      })
      await friend.delete(theirs.id)
      expect(await user.inbox.next()).toMatchObject({ event: 'message.deleted', relates_to: id })
      expect(user.inbox.unread).toBe(0)
    })

    test('what the owner writes on the phone itself is not received', async () => {
      const { user, friend } = pair()
      await user.phone.send({ to: friend.id, text: 'from my own phone' })
      await user.phone.send({ to: friend.id, text: 'and again' })
      await expectNextText(user, () => friend.send({ to: user.phone.id, text: 'got it' }), 'got it')
    })
  })

  test('in a group, with its name and who of its members wrote', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const [one, other] = [await testnet.newPhone(), await testnet.newPhone()]
    const group = await testnet.newGroup('Neighbours', one, [other, user.phone])
    await one.send({ group: group.id, text: 'hello all' })
    const payload = await user.inbox.next()
    expect(payload).toMatchObject({
      message: 'hello all',
      device_id: user.device,
      sender: { phone: one.number },
      chat: { kind: 'group', name: 'Neighbours' },
    })
    await other.send({ group: group.id, text: 'hello' })
    expect(await user.inbox.next()).toMatchObject({ sender: { phone: other.number }, chat: payload.chat })
  })

  test('what was said before the link is not received', async () => {
    const { testnet, deployment } = setting()
    const account = await deployment.client.account()
    const [phone, friend] = [await testnet.newPhone(), await testnet.newPhone()]
    const timestamp = new Date(Date.now() - 3_600_000).toISOString()
    await friend.send({ to: phone.id, text: 'long ago', timestamp })
    await using inbox = await InboxReader.open(account)
    await link(account, phone)
    await friend.send({ to: phone.id, text: 'now' })
    expect(await inbox.next()).toMatchObject({ message: 'now' })
  })
}

/** Expects this message to be the next to arrive. */
async function expectNextText(user: LinkedUser, send: () => Promise<unknown>, text: string): Promise<void> {
  await send()
  expect((await user.inbox.next()).message).toBe(text)
}

async function expectFile({ media }: MessagePayload, content: Uint8Array): Promise<void> {
  expect(media?.content).toBe(Buffer.from(content).toString('base64'))
  const downloaded = await (await fetch(media?.url ?? '')).bytes()
  expect(Bun.SHA256.hash(downloaded, 'hex')).toBe(Bun.SHA256.hash(content, 'hex'))
}
