/** Formatting, mentions, previews, receipts and settings of direct chats, both ways. */
import { expect, test } from 'bun:test'
import { waitFor } from '../../../support/wait-for.ts'
import { newChat, type SceneOf } from './scene.ts'

const DAY_MS = 86_400_000
const TIMER = 'com.beeper.disappearing_timer'

export function conversationCases(scene: SceneOf): void {
  test('formatting, mentions and no previews reach the network, and an edit changes them', async () => {
    const { bridge } = scene()
    const { user, friend, portal } = await newChat(scene())
    const ghost = `@${bridge.ghostPrefix}${friend.id}:${bridge.serverName}`
    const pill = `<a href="https://matrix.to/#/${ghost}">you</a>`
    const said = {
      msgtype: 'm.text',
      body: 'for you',
      format: 'org.matrix.custom.html',
      formatted_body: `<b>for</b> ${pill}`,
      'm.mentions': { user_ids: [ghost] },
    }
    const content = { ...said, 'com.beeper.linkpreviews': [] }
    const event = await bridge.send(user, portal.id, 'm.room.message', content)
    expect(await portal.statusOf(event)).toMatchObject({ status: 'SUCCESS' })
    expect(await friend.waitForText('for you')).toMatchObject({
      html: said.formatted_body,
      mentions: [friend.id],
      no_preview: true,
    })
    const plain = { msgtype: 'm.text', body: 'for nobody' }
    const edit = await bridge.send(user, portal.id, 'm.room.message', {
      ...plain,
      'm.new_content': plain,
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    })
    expect(await portal.statusOf(edit)).toMatchObject({ status: 'SUCCESS' })
    const edited = await friend.waitForText('for nobody')
    expect([edited.html, edited.mentions, edited.edited]).toEqual([undefined, undefined, true])
  })

  test('a phone’s formatting and mentions come as HTML with the names', async () => {
    const { user, phone, friend, portal } = await newChat(scene())
    const text = `@${phone.number} look`
    await friend.send({ to: phone.id, text, html: `@${phone.number} <i>look</i>`, mentions: [phone.id] })
    const { content } = await portal.waitForEvent(({ content }) => content.format !== undefined)
    expect(content).toMatchObject({
      body: expect.stringMatching(/^Person \d+ look$/),
      formatted_body: expect.stringMatching(
        /^<a href="https:\/\/matrix.to\/#\/[^"]+">Person \d+<\/a> <i>look<\/i>$/,
      ),
      'm.mentions': { user_ids: [user] },
    })
  })

  test('a GIF is a video that says so', async () => {
    const { phone, friend, portal } = await newChat(scene())
    const media = { data: Buffer.from('no video'), mime_type: 'video/mp4', file_name: 'fun.mp4' }
    await friend.send({ to: phone.id, type: 'gif', media })
    const event = await portal.waitForBody('fun.mp4')
    expect(event.content).toMatchObject({ msgtype: 'm.video', info: { 'fi.mau.gif': true } })
  })

  test('reading a message reads all before it', async () => {
    const { bridge } = scene()
    const { user, phone, friend, portal } = await newChat(scene())
    const first = await friend.send({ to: phone.id, text: 'first' })
    const second = await friend.send({ to: phone.id, text: 'second' })
    const { event_id } = await portal.waitForBody('second')
    await bridge.markRead(user, portal.id, event_id)
    for (const { id } of [first, second])
      await waitFor(async () => (await friend.message(id)).read?.[phone.id] !== undefined)
  })

  test('the time after which messages disappear is set from Matrix, and at a phone', async () => {
    const { bridge } = scene()
    const { user, phone, friend, portal } = await newChat(scene())
    const set = (timer: number) => bridge.putState(user, portal.id, TIMER, '', { type: 'after_send', timer })
    expect(await portal.statusOf(await set(7 * DAY_MS))).toMatchObject({ status: 'SUCCESS' })
    expect(await friend.timer(phone.id)).toBe(7 * 86_400)
    // By bridgev2, which calls all that retriable.
    expect(await portal.statusOf(await set(12_345))).toMatchObject({ status: 'FAIL_RETRIABLE' })
    await friend.setTimer(phone.id, 86_400)
    await waitFor(async () => (await portal.stateOf(TIMER))?.timer === DAY_MS)
    await friend.setTimer(phone.id, 0)
    await waitFor(async () => (await portal.stateOf(TIMER))?.timer === undefined)
  })

  test('who is blocked reaches the account no more', async () => {
    const { bridge } = scene()
    const { user, phone, friend, portal } = await newChat(scene())
    const block = (block: boolean) => bridge.send(user, portal.id, 'com.beeper.block_user', { block })
    expect(await portal.statusOf(await block(true))).toMatchObject({ status: 'SUCCESS' })
    expect(await phone.blocked()).toEqual([friend.id])
    await friend.send({ to: phone.id, text: 'unheard' })
    expect(await portal.statusOf(await block(false))).toMatchObject({ status: 'SUCCESS' })
    await friend.send({ to: phone.id, text: 'heard' })
    await portal.waitForBody('heard')
    expect(await phone.receivedTexts()).toEqual(['hello', 'heard'])
  })
}
