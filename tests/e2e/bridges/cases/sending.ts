/** Messages from the API to the phones of a real bridge's network. */
import { describe, expect, test } from 'bun:test'
import { FILES } from '../../../support/file-heads.ts'
import { bytesOf, pngOf } from '../../../support/files.ts'
import { formWith } from '../../../support/gateway-client.ts'
import { RECORDING } from '../../../support/recording.ts'
import { bytesOfMessage } from '../../../support/testnet-phone.ts'
import { link, linkedUser, PLATFORM, type SettingOf, sharedPair } from './setting.ts'

export function sendingCases(setting: SettingOf): void {
  test('texts to a contact arrive once and in order', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const texts = Array.from({ length: 10 }, (_, index) => `number ${index} – Grüße 👋`)
    for (const text of texts) await user.account.send(user.device, { contact: `+${friend.number}`, text })
    const last = await friend.waitForText(texts.at(-1) ?? '')
    expect(last).toMatchObject({ from: user.phone.id, to: friend.id, type: 'text', through: 'bridge' })
    expect(await friend.receivedTexts()).toEqual(texts)
  })

  describe('to somebody known', () => {
    const pair = sharedPair(setting)

    test.each([
      ['view.png', 'image/png', 'image', pngOf(64, 48)],
      ['clip.mp4', 'video/mp4', 'video', bytesOf(70_000, 2)],
      ['report.pdf', 'application/pdf', 'file', bytesOf(1_500_000, 4)],
    ])('%s with a caption arrives byte for byte', async (name, type, kind, content) => {
      const { user, friend } = pair()
      const fields = { contact: friend.number, platform: PLATFORM, text: `this is ${name}` }
      await user.account.send(user.device, formWith(fields, { name, type, content }))
      const message = await friend.waitForText(fields.text)
      expect(message).toMatchObject({ type: kind, media: { file_name: name, mime_type: type } })
      expect(Bun.SHA256.hash(bytesOfMessage(message), 'hex')).toBe(Bun.SHA256.hash(content, 'hex'))
    })

    test.each([
      ['song.mp3', 'audio', bytesOf(50_000, 3), {}],
      ['note.ogg', 'voice', RECORDING, { mime_type: 'audio/ogg; codecs=opus', duration_ms: 2_000 }],
    ])(
      '%s arrives as %s byte for byte, and behind it its caption, which the network would drop',
      async (name, type, content, media) => {
        const { user, friend } = pair()
        const fields = { contact: friend.number, platform: PLATFORM, text: `this is ${name}` }
        const [sent] = await user.account.send(user.device, formWith(fields, { name, content }))
        const caption = await friend.waitForText(fields.text)
        const message = await friend.waitForMessage(one => one.media?.file_name === name)
        expect(message).toMatchObject({ type, media })
        expect(message.text).toBeUndefined()
        expect(bytesOfMessage(message).equals(content)).toBe(true)
        expect((await friend.messages()).map(({ id }) => id).slice(-2)).toEqual([message.id, caption.id])
        expect(await user.account.waitForStatus(sent?.id ?? '', ['delivered', 'read'])).toMatchObject({
          reason: null,
        })
      },
    )

    test.each([
      ['photo.heic', 'file', FILES.heic],
      ['photo.tiff', 'file', FILES.tiff],
      ['drawing.svg', 'file', FILES.svg],
      ['noise.wav', 'file', FILES.wav],
      ['film.mkv', 'file', FILES.mkv],
      ['photo.jpg', 'image', FILES.jpeg],
      ['song.m4a', 'audio', FILES.m4a],
    ])('%s, which the bridge would refuse as anything else, arrives as a %s', async (name, type, content) => {
      const { user, friend } = pair()
      const fields = { contact: friend.number, platform: PLATFORM }
      await user.account.send(user.device, formWith(fields, { name, content }))
      const message = await friend.waitForMessage(({ media }) => media?.file_name === name)
      expect(message.type).toBe(type)
    })

    test('a text that is too long for the network is refused at once, with the limit', async () => {
      const { user, friend } = pair()
      await user.account.send(user.device, { contact: friend.number, text: 'hello' })
      await friend.waitForText('hello')
      const tooLong = { contact: friend.number, text: 'x'.repeat(20_001) }
      expect(await user.account.trySend(user.device, tooLong)).toMatchObject({
        status: 422,
        body: {
          code: 'unsupported_by_chat',
          error: 'WhatsApp takes texts of at most 20000 characters here, not 20001',
          feature: 'max_text_length',
          limit: 20_000,
        },
      })
    })

    test('a file without a caption', async () => {
      const { user, friend } = pair()
      const fields = { contact: friend.number, platform: PLATFORM }
      const content = bytesOf(10_000)
      await user.account.send(user.device, formWith(fields, { name: 'data.bin', content }))
      const message = await friend.waitForMessage(({ media }) => media?.file_name === 'data.bin')
      expect(message.text).toBeUndefined()
      expect(bytesOfMessage(message).equals(content)).toBe(true)
    })

    test('a reply is one on the phone', async () => {
      const { user, friend } = pair()
      const question = await friend.send({ to: user.phone.id, text: 'shall we?' })
      const { id } = await user.inbox.next()
      await user.account.send(user.device, { contact: friend.number, text: 'we shall', reply_id: id })
      expect(await friend.waitForText('we shall')).toMatchObject({ reply_to: question.id })
    })
  })

  test('to several, one of whom nobody knows: the others get it', async () => {
    await using user = await linkedUser(setting())
    const [one, other] = [await setting().testnet.newPhone(), await setting().testnet.newPhone()]
    const contact = `${one.number}, 4915299999999, ${other.number}`
    const [, unknown] = await user.account.send(user.device, { contact, text: 'to all' })
    await one.waitForText('to all')
    await other.waitForText('to all')
    const failed = await user.account.waitForStatus(unknown?.id ?? '', ['failed'])
    expect(failed.reason).toContain("4915299999999 isn't on wa")
  })

  test('to somebody whose id is not the number', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({ opaque: true })
    expect(friend.id).not.toBe(friend.number)
    await user.account.send(user.device, { contact: friend.number, text: 'by number' })
    await friend.waitForText('by number')
    await user.account.send(user.device, { contact: friend.id, text: 'by id' })
    await friend.waitForText('by id')
    expect(await friend.receivedTexts()).toEqual(['by number', 'by id'])
  })

  test('to a group by its invite link, which is joined once, by its id and by its room', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const friend = await testnet.newPhone()
    const group = await testnet.newGroup('Choir', friend)
    for (const text of ['one', 'two'])
      await user.account.send(user.device, { group_url: group.invite_link, text })
    await friend.waitForText('two')
    expect((await testnet.group(group.id)).members).toEqual([friend.id, user.phone.id])
    await friend.send({ group: group.id, text: 'welcome' })
    const { chat } = await user.inbox.next()
    expect(chat).toMatchObject({ kind: 'group', name: 'Choir' })
    await user.account.send(user.device, { group_url: group.id, text: 'by id' })
    await friend.waitForText('by id')
    await user.account.send(user.device, { group_url: chat.id, text: 'by room' })
    await friend.waitForText('by room')
    expect(await friend.receivedTexts()).toEqual(['one', 'two', 'by id', 'by room'])
    // The network tells the chat's members once who joined.
    expect((await testnet.group(group.id)).members).toHaveLength(2)
  })

  test('a link that leads nowhere fails with what the bridge says', async () => {
    await using user = await linkedUser(setting())
    const group_url = 'https://join.testnet.example/nowhere'
    const [accepted] = await user.account.send(user.device, { group_url, text: 'anybody?' })
    const { reason } = await user.account.waitForStatus(accepted?.id ?? '', ['failed'])
    expect(reason).toContain('invite link is not valid')
  })

  test('with two devices of one token each message goes out by the one that was asked', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const second = await testnet.newPhone()
    const secondDevice = await link(user.account, second)
    expect((await user.account.devices()).map(({ device_id }) => device_id)).toEqual([
      user.device,
      secondDevice,
    ])
    const friend = await testnet.newPhone()
    await user.account.send(user.device, { contact: friend.number, text: 'by the first' })
    await user.account.send(secondDevice, { contact: friend.number, text: 'by the second' })
    expect((await friend.waitForText('by the first')).from).toBe(user.phone.id)
    expect((await friend.waitForText('by the second')).from).toBe(second.id)
    await friend.send({ to: second.id, text: 'to the second' })
    expect(await user.inbox.next()).toMatchObject({ message: 'to the second', device_id: secondDevice })
    await friend.send({ to: user.phone.id, text: 'to the first' })
    expect(await user.inbox.next()).toMatchObject({ message: 'to the first', device_id: user.device })
  })
}
