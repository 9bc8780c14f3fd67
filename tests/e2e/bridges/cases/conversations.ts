/** The further fields of a send, as a real bridge passes them on: places, cards, polls, notes. */
import { expect, test } from 'bun:test'
import type { MessagePayload, StatusEvent } from '../../../../src/domain/events.ts'
import type { AcceptedMessage, MessageView } from '../../../../src/domain/views/message.ts'
import { FILES } from '../../../support/file-heads.ts'
import { pngOf } from '../../../support/files.ts'
import { formWith } from '../../../support/gateway-client.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { RECORDING } from '../../../support/recording.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { bytesOfMessage } from '../../../support/testnet-phone.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf, sharedPair } from './setting.ts'

export function conversationCases(setting: SettingOf): void {
  const pair = sharedPair(setting)

  type Answer = { messages: AcceptedMessage[]; code?: string; feature?: string }
  const post = ({ account, device }: LinkedUser, to: TestnetPhone, fields: Record<string, unknown>) =>
    account.api.post<Answer>(`/api/v1/devices/${device}/message`, {
      platform: PLATFORM,
      contact: to.number,
      ...fields,
    })

  /** @returns the message once the network has it */
  async function send(user: LinkedUser, to: TestnetPhone, fields: Record<string, unknown>) {
    const { status, body } = await post(user, to, fields)
    if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`)
    return user.account.waitForStatus(body.messages[0]?.id ?? '', ['sent', 'delivered', 'read'])
  }

  test('a location, with and without a name', async () => {
    const { user, friend } = pair()
    const place = { latitude: 3.848, longitude: 11.5021 }
    await send(user, friend, { location: { ...place, name: 'Yaoundé' } })
    expect(await friend.waitForMessage(({ location }) => location?.name === 'Yaoundé')).toMatchObject({
      type: 'location',
      location: place,
    })
    await send(user, friend, { location: { latitude: -0.000001, longitude: 180 } })
    const { location } = await friend.waitForMessage(one => one.location?.longitude === 180)
    expect(location?.latitude).toBe(-0.000001)
  })

  test('a contact card is a .vcf file with the numbers', async () => {
    const { user, friend } = pair()
    await send(user, friend, {
      contact_card: { name: 'Ada Lovelace', phones: ['+237612345678'], emails: ['ada@example.org'] },
    })
    const card = await friend.waitForMessage(
      ({ media }) => media?.mime_type.startsWith('text/vcard') === true,
    )
    expect(card).toMatchObject({ type: 'file', media: { file_name: 'Ada Lovelace.vcf' } })
    const text = bytesOfMessage(card).toString()
    for (const part of ['BEGIN:VCARD', 'Ada Lovelace', '237612345678', 'ada@example.org'])
      expect(text).toContain(part)
  })

  test('a poll, whose votes name what was chosen', async () => {
    const { user, friend } = pair()
    await using votes = await InboxReader.of<MessagePayload>(user.account, ['poll.vote'])
    const poll = { question: 'Where?', options: ['Here', 'There', 'Nowhere'], max_selections: 2 }
    const { event_id } = await send(user, friend, { poll })
    const { id, poll: asked } = await friend.waitForMessage(one => one.poll?.question === 'Where?')
    expect(asked).toEqual(poll)
    await friend.vote(id, 'There', 'Nowhere')
    const vote = await votes.next()
    expect(vote.relates_to).toBe(event_id)
    expect(vote.vote?.options.map(({ text }) => text).toSorted()).toEqual(['Nowhere', 'There'])
  })

  test('Markdown and mentions, which the network gets as such, and a link without its preview', async () => {
    const { user, friend } = pair()
    const text = `**look** @${friend.number}: https://example.org`
    const fields = { format: 'markdown', mentions: [friend.number], link_preview: false }
    await send(user, friend, { text, ...fields })
    const message = await friend.waitForMessage(({ html }) => html?.includes('look') === true)
    expect(message).toMatchObject({ type: 'text', mentions: [friend.id], no_preview: true })
    expect(message.html).toContain('<strong>look</strong>')
    expect(message.html).toContain('https://matrix.to/#/')
  })

  test.each([
    ['sticker', 'sticker.webp', 'image/webp', FILES.webp],
    ['gif', 'fun.mp4', 'video/mp4', FILES.mp4],
    ['voice', 'note.ogg', 'audio/ogg', RECORDING],
    ['file', 'view.png', 'image/png', pngOf(8, 8)],
  ])('a file as %s', async (as, name, type, content) => {
    const { user, friend } = pair()
    const fields = { contact: friend.number, platform: PLATFORM, as }
    await user.account.send(user.device, formWith(fields, { name, type, content }))
    const message = await friend.waitForMessage(({ media }) => media?.file_name === name)
    expect(message.type).toBe(as)
  })

  test('notes come back in the message and in what is told of it', async () => {
    const { user, friend } = pair()
    await using statuses = await InboxReader.of<StatusEvent>(user.account, ['message.status'])
    const metadata = { order: '4711' }
    const { id } = await send(user, friend, { text: 'with notes', metadata })
    // Before it may come what is told of the messages of other cases.
    let told = await statuses.next()
    while (told.id !== id) told = await statuses.next()
    expect(told).toMatchObject({ metadata })
    const { body } = await user.account.api.get<MessageView>(`/api/v1/messages/${id}`)
    expect(body.metadata).toEqual(metadata)
  })

  test('what the chat doesn’t take is refused before it goes anywhere, with its limit', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({ features: 'strict' })
    await send(user, friend, { text: 'hello' })
    for (const [feature, fields] of [
      ['location', { location: { latitude: 1, longitude: 2 } }],
      ['poll', { poll: { question: '?', options: ['a', 'b'] } }],
    ] as const) {
      const { status, body } = await post(user, friend, fields)
      expect({ status, ...body }).toMatchObject({
        status: 422,
        code: 'unsupported_by_chat',
        feature: expect.stringContaining(feature),
      })
    }
    expect(await friend.receivedTexts()).toEqual(['hello'])
  })

  test('what is to be sent later goes when it is due, and holds up nobody', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const dueAt = Date.now() + 4_000
    await post(user, friend, { text: 'later', send_at: new Date(dueAt).toISOString() })
    await send(user, friend, { text: 'now' })
    const later = await friend.waitForText('later')
    expect(await friend.receivedTexts()).toEqual(['now', 'later'])
    expect(Date.parse(later.timestamp)).toBeGreaterThanOrEqual(dueAt)
  })

  test('what is sent at once arrives in order, whatever it is', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const sends = [
      { text: 'first' },
      { location: { latitude: 1, longitude: 2, name: 'second' } },
      { poll: { question: 'third', options: ['a', 'b'] } },
      { contact_card: { name: 'fourth', phones: ['4915112345678'] } },
      { text: 'fifth' },
    ]
    for (const fields of sends) await post(user, friend, fields)
    await friend.waitForText('fifth')
    expect((await friend.messages()).map(({ type }) => type)).toEqual([
      ...['text', 'location', 'poll', 'file', 'text'],
    ])
  })
}
