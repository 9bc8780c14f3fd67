/** Files of several kinds; what is forwarded, searched, and written at the phone itself. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import type { ChatMessageView } from '../../../../src/domain/views/chat-message.ts'
import { bytesOf, pngOf } from '../../../support/files.ts'
import { formWith } from '../../../support/gateway-client.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { bytesOfMessage } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { linkedUser, PLATFORM, type SettingOf, sendText, sharedPair } from './setting.ts'

export function passedOnCases(setting: SettingOf): void {
  const pair = sharedPair(setting)

  test('several files to several people are a message each, in order; the text is of the first', async () => {
    const { user, friend } = pair()
    const phones = [friend, await setting().testnet.newPhone()]
    const files = [
      { name: 'first.pdf', content: bytesOf(9_000, 1) },
      { name: 'second.png', content: pngOf(9, 9) },
    ]
    const contact = phones.map(({ number }) => number).join(',')
    const form = formWith({ platform: PLATFORM, contact, text: 'two files' })
    for (const { name, content } of files) form.append('file', new File([content], name))
    const sent = await user.account.send(user.device, form)
    const names = files.map(({ name }) => name)
    expect(sent.map(({ to, file_name }) => [to, file_name])).toEqual(
      phones.flatMap(({ number }) => names.map(name => [number, name])),
    )
    for (const phone of phones) {
      const last = await phone.waitForMessage(({ media }) => media?.file_name === names[1])
      expect(last.text ?? '').toBe('')
      const received = (await phone.messages()).filter(({ media }) => names.includes(media?.file_name ?? ''))
      expect(received.map(({ media, text }) => [media?.file_name, text ?? ''])).toEqual([
        ['first.pdf', 'two files'],
        ['second.png', ''],
      ])
      for (const [index, message] of received.entries())
        expect(bytesOfMessage(message).equals(files[index]?.content ?? bytesOf(0))).toBe(true)
    }
  })

  test('a file in JSON, and one that the gateway fetches, arrive byte for byte and in order', async () => {
    const { user, friend } = pair()
    const [inJson, fetched] = [bytesOf(20_000, 7), bytesOf(30_000, 8)]
    await using server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response(fetched) })
    const contact = friend.number
    await user.account.send(user.device, { contact, file_url: `${server.url}fetched.pdf`, text: 'by URL' })
    await user.account.send(user.device, {
      contact,
      file_base64: Buffer.from(inJson).toString('base64'),
      file_name: 'json.bin',
      text: 'in JSON',
    })
    const second = await friend.waitForText('in JSON')
    const first = await friend.waitForText('by URL')
    expect(bytesOfMessage(first).equals(fetched)).toBe(true)
    expect(bytesOfMessage(second).equals(inJson)).toBe(true)
    expect([first.media?.file_name, second.media?.file_name]).toEqual(['fetched.pdf', 'json.bin'])
    expect((await friend.messages()).slice(-2).map(({ id }) => id)).toEqual([first.id, second.id])
  })

  test('what was sent and what came in, a file too, is forwarded to somebody else', async () => {
    const { user, friend } = pair()
    const other = await setting().testnet.newPhone()
    const forward = async (id: string) => {
      const path = `/api/v1/messages/${encodeURIComponent(id)}/forward`
      const { status, body } = await user.account.api.post<object>(path, { contact: other.number })
      expect([status, body]).toMatchObject([201, { to: other.number, status: 'queued' }])
    }
    await forward(await sendText(user, friend, 'pass it on'))
    await other.waitForText('pass it on')
    const data = pngOf(20, 10)
    const media = { data, file_name: 'view.png', mime_type: 'image/png' }
    await friend.send({ to: user.phone.id, type: 'image', text: 'the view', media })
    await forward((await user.inbox.next()).id)
    const shown = await other.waitForText('the view')
    expect(shown).toMatchObject({ type: 'image', media: { file_name: 'view.png' } })
    expect(bytesOfMessage(shown).equals(data)).toBe(true)
  })

  test('what was said is found by its words, until it is deleted', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const theirs = await friend.send({ to: user.phone.id, text: 'Die Brücke über den Fluss' })
    await user.inbox.next()
    await sendText(user, friend, 'welche Brücke?')
    const found = async (query: string) => {
      const { body } = await user.account.api.get<{ data: ChatMessageView[] }>(
        `/api/v1/messages/search?query=${encodeURIComponent(query)}`,
      )
      return body.data.map(({ text }) => text)
    }
    const both = ['welche Brücke?', 'Die Brücke über den Fluss']
    await waitFor(async () => (await found('brucke')).length === both.length, { what: 'both texts' })
    expect(await found('brücke')).toEqual(both)
    expect(await found('brücke flu')).toEqual(both.slice(1))
    await friend.edit(theirs.id, 'Der Steg')
    await waitFor(async () => (await found('steg')).length === 1, { what: 'the text as it was edited' })
    expect(await found('fluss')).toEqual([])
    await friend.delete(theirs.id)
    await waitFor(async () => (await found('steg')).length === 0, { what: 'nothing to be found' })
  })

  test('what the owner writes at the phone is told to who names it, with its file', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await using own = await InboxReader.of<MessagePayload>(user.account, ['message.own'])
    await user.phone.send({ to: friend.id, text: 'from my own phone' })
    const first = await own.next()
    expect(structuredClone(first)).toMatchObject({
      event: 'message.own',
      kind: 'text',
      message: 'from my own phone',
      device_id: user.device,
      sender: { phone: user.phone.number },
      chat_id: expect.stringMatching(/^chat_/),
    })
    const data = pngOf(12, 8)
    const media = { data, file_name: 'mine.png', mime_type: 'image/png' }
    await user.phone.send({ to: friend.id, type: 'image', text: 'my view', media })
    expect(await own.next()).toMatchObject({
      kind: 'image',
      message: 'my view',
      chat_id: first.chat_id,
      media: { content: Buffer.from(data).toString('base64') },
    })
    await sendText(user, friend, 'from the API')
    await user.phone.send({ to: friend.id, text: 'and from the phone again' })
    expect(await own.next()).toMatchObject({ message: 'and from the phone again' })
  })
}
