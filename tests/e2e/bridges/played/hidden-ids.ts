/** Hidden ids: chats with the LID's ghost, and those that move there. */
import { expect, test } from 'bun:test'
import { waitFor } from '../../../support/wait-for.ts'
import { PLATFORM } from '../cases/setting.ts'
import { chatIdOf, newChat, type SceneOf } from './scene.ts'

interface Resolved {
  id: string
  mxid: string
  identifiers?: string[]
  dm_room_mxid?: string
}

export function hiddenIdCases(scene: SceneOf): void {
  test('a direct chat is with the ghost of the LID, which has the number in its profile', async () => {
    const { bridge } = scene()
    const { friend, portal } = await newChat(scene(), { lid: true, name: 'Lena' })
    expect(await portal.ghosts()).toContain(`lid-${friend.lid}`)
    const { sender } = await portal.waitForBody('hello')
    expect(sender).toBe(`@${bridge.ghostPrefix}lid-${friend.lid}:${bridge.serverName}`)
    expect(sender).not.toContain(friend.number)
    expect(await bridge.profile(sender)).toMatchObject({
      'com.beeper.bridge.remote_id': `lid-${friend.lid}`,
      'com.beeper.bridge.identifiers': [`tel:+${friend.number}`],
      'com.beeper.bridge.network': 'testnet',
      'com.beeper.bridge.service': 'testnet',
    })
  })

  test('by number or LID, it is the ghost of the LID that is found', async () => {
    const { bridge } = scene()
    const { user, phone, friend, portal } = await newChat(scene(), { lid: true })
    await phone.change({ contacts: [friend.number] })
    const found = {
      id: `lid-${friend.lid}`,
      identifiers: [`tel:+${friend.number}`],
      dm_room_mxid: portal.id,
    }
    for (const way of [friend.number, `+${friend.number}`, `lid-${friend.lid}`, `${friend.lid}@lid`]) {
      const { body } = await bridge.get(user, `/resolve_identifier/${encodeURIComponent(way)}`)
      expect(body).toMatchObject(found)
    }
    const { body } = await bridge.get<{ contacts: Resolved[] }>(user, '/contacts')
    expect(body.contacts).toMatchObject([found])
  })

  test('a chat with the number moves to the LID in its room, and what is said goes on there', async () => {
    const { bridge } = scene()
    const { user, friend, portal } = await newChat(scene(), { lid: true, chats_by_number: true })
    expect(await portal.chat()).toBe(friend.number)
    expect(await portal.ghosts()).toContain(friend.number)

    await friend.moveChats()
    await waitFor(async () => (await portal.chat()) === chatIdOf(friend))
    const ghosts = await portal.ghosts()
    expect(ghosts).toContain(`lid-${friend.lid}`)
    expect(ghosts).not.toContain(friend.number)
    const event = await bridge.send(user, portal.id, 'm.room.message', {
      msgtype: 'm.text',
      body: 'still you?',
    })
    expect(await portal.statusOf(event)).toMatchObject({ status: 'SUCCESS' })
    const { id } = await friend.waitForText('still you?')
    await friend.react(id, '👍')
    const { sender } = await portal.waitForEvent(({ type }) => type === 'm.reaction')
    expect(sender).toContain(`lid-${friend.lid}`)
  })

  test('two rooms of one person become one: that of the number is closed in favour of the LID’s', async () => {
    const { bridge } = scene()
    const { phone, friend, portal } = await newChat(scene(), { lid: true, chats_by_number: true })
    await friend.change({ chats_by_number: false })
    await friend.send({ to: phone.id, text: 'by my hidden id' })
    const second = await bridge.portal(chatIdOf(friend))
    await second.waitForBody('by my hidden id')
    expect(second.id).not.toBe(portal.id)

    await friend.moveChats()
    await waitFor(async () => (await bridge.portals(friend.number)).length === 0)
    await friend.send({ to: phone.id, text: 'after it' })
    await second.waitForBody('after it')
    expect(await second.ghosts()).toContain(`lid-${friend.lid}`)
  })

  test('a bridge that starts moves the chats that are still with numbers', async () => {
    const { deployment } = scene()
    const { friend, portal } = await newChat(scene(), { lid: true, chats_by_number: true })
    await friend.change({ chats_by_number: false })
    expect(await portal.chat()).toBe(friend.number)
    await deployment.bridge(PLATFORM).kill()
    await deployment.bridge(PLATFORM).start()
    await waitFor(async () => (await portal.chat()) === chatIdOf(friend))
    expect(await portal.ghosts()).toContain(`lid-${friend.lid}`)
  })

  test('in a group that goes by numbers the same person has the other ghost', async () => {
    const { bridge, testnet } = scene()
    const { phone, friend } = await newChat(scene(), { lid: true })
    const group = await testnet.newGroup('Numbers', friend, [phone], { by_number: true })
    await friend.send({ group: group.id, text: 'to all' })
    const portal = await bridge.portal(group.id)
    const { sender } = await portal.waitForBody('to all')
    expect(sender).toBe(`@${bridge.ghostPrefix}${friend.number}:${bridge.serverName}`)
  })
}
