/** Messages from before the link, by themselves and on demand, where the homeserver takes them. */
import { expect, test } from 'bun:test'
import { link, PLATFORM } from '../cases/setting.ts'
import type { SceneOf } from './scene.ts'

/** As openScene is asked to set them. */
export const HISTORY = {
  'backfill.enabled': 'true',
  'backfill.max_initial_messages': '5',
  'backfill.queue.enabled': 'true',
  'backfill.queue.manual': 'true',
  'backfill.queue.batch_size': '4',
}

export function historyCases(scene: SceneOf): void {
  test('the last messages come at the link, older ones when they are asked for', async () => {
    const { bridge, deployment, testnet } = scene()
    await testnet.change({ slow_history: true })
    const [phone, friend] = [await testnet.newPhone({ receipts: 'read' }), await testnet.newPhone()]
    const texts = Array.from({ length: 12 }, (_, index) => `number ${index}`)
    const yesterday = Date.now() - 86_400_000
    for (const [index, text] of texts.entries()) {
      const [from, to] = index % 3 === 0 ? [phone, friend] : [friend, phone]
      const timestamp = new Date(yesterday + index * 60_000).toISOString()
      const { id } = await from.send({ to: to.id, text, timestamp })
      if (index === 11) await phone.react(id, '👍')
    }
    await link(await deployment.client.account(), phone, PLATFORM)
    const portal = await bridge.portal(friend.id)
    const said = async () => (await portal.events()).filter(({ type }) => type === 'm.room.message')
    const told = async () => (await said()).map(({ content }) => content.body)
    await portal.waitForEvent(({ type }) => type === 'm.reaction')
    expect(await told()).toEqual(texts.slice(7))
    const [first] = await said()
    expect(first).toMatchObject({
      origin_server_ts: yesterday + 7 * 60_000,
      unsigned: { 'org.matrix.msc2716.historical': true },
    })
    const user = await portal.user()
    const isOwn = (await said()).map(({ sender }) => sender === user)
    expect(isOwn).toEqual([7, 8, 9, 10, 11].map(index => index % 3 === 0))

    const older = async () =>
      (await bridge.post(user, `/backfill/${encodeURIComponent(portal.id)}?login_id=${phone.id}`)).status
    expect(await older()).toBe(200)
    expect(await told()).toEqual(texts.slice(3))
    expect(await older()).toBe(200)
    expect(await told()).toEqual(texts)
    // No task is left when all has been fetched.
    expect(await older()).toBe(204)
    expect(await told()).toEqual(texts)
    // The bridge doesn't take its puppet's words for new ones.
    expect(await friend.messages()).toHaveLength(texts.length)
  })

  test('the message that makes a chat comes as a batch, too, which tells of itself', async () => {
    const { bridge, deployment, testnet } = scene()
    const [phone, friend] = [await testnet.newPhone(), await testnet.newPhone()]
    await link(await deployment.client.account(), phone, PLATFORM)
    await friend.send({ to: phone.id, text: 'hello, stranger' })
    const portal = await bridge.portal(friend.id)
    const { unsigned } = await portal.waitForBody('hello, stranger')
    expect(unsigned).not.toContainKey('org.matrix.msc2716.historical')
  })
}
