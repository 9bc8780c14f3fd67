/** Messages from before the link, by themselves and on demand, where the homeserver takes them. */
import { expect, test } from 'bun:test'
import type { Batch } from '../../../support/announcing-homeserver.ts'
import { waitFor } from '../../../support/wait-for.ts'
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
    const { bridge, deployment, homeserver, testnet } = scene()
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
    const batches = () => homeserver.batches.filter(({ room }) => room === portal.id)
    const [first] = await waitFor(() => (batches().length > 0 ? batches() : null))
    const told = (batch: Batch | undefined) =>
      batch?.events.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body)
    expect(told(first)).toEqual(texts.slice(7))
    const user = await portal.user()
    expect(first).toMatchObject({ forward: true, send_notification: false, mark_read_by: user })
    expect(first?.events.at(-1)).toMatchObject({ type: 'm.reaction' })
    expect(first?.events[0]).toMatchObject({ origin_server_ts: yesterday + 7 * 60_000 })
    expect(first?.events.map(({ sender }) => sender.includes(friend.id))).toContain(true)

    const older = async () =>
      (await bridge.post(user, `/backfill/${encodeURIComponent(portal.id)}?login_id=${phone.id}`)).status
    expect(await older()).toBe(200)
    expect(told(batches()[1])).toEqual(texts.slice(3, 7))
    expect(batches()[1]).toMatchObject({ forward: false, send_notification: false })
    expect(await older()).toBe(200)
    expect(told(batches()[2])).toEqual(texts.slice(0, 3))
    // No task is left when all has been fetched.
    expect(await older()).toBe(204)
    expect(batches()).toHaveLength(3)
  })

  test('the message that makes a chat comes as history, too, which tells of itself', async () => {
    const { bridge, deployment, homeserver, testnet } = scene()
    const [phone, friend] = [await testnet.newPhone(), await testnet.newPhone()]
    await link(await deployment.client.account(), phone, PLATFORM)
    await friend.send({ to: phone.id, text: 'hello, stranger' })
    const portal = await bridge.portal(friend.id)
    const batch = await waitFor(() => homeserver.batches.find(({ room }) => room === portal.id))
    expect(batch).toMatchObject({ forward: true, send_notification: true })
    expect(batch.events.map(({ content }) => content.body)).toEqual(['hello, stranger'])
  })
}
