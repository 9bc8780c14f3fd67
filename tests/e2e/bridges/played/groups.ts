/** Groups changed from Matrix: their names and topics, who is in them, and who is an admin. */
import { expect, test } from 'bun:test'
import { waitFor } from '../../../support/wait-for.ts'
import { newChat, type SceneOf } from './scene.ts'

export function groupCases(scene: SceneOf): void {
  async function newGroup(isOwner: boolean) {
    const { bridge, testnet } = scene()
    const { phone, friend } = await newChat(scene())
    const [owner, member] = isOwner ? [phone, friend] : [friend, phone]
    const group = await testnet.newGroup('Choir', owner, [member])
    const portal = await bridge.portal(group.id)
    await waitFor(async () => (await portal.ghosts()).includes(friend.id))
    const user = await portal.user()
    const put = (type: string, key: string, content: Record<string, unknown>) =>
      bridge.putState(user, portal.id, type, key, content)
    const ghost = (id: string) => `@${bridge.ghostPrefix}${id}:${bridge.serverName}`
    return { user, phone, friend, group, portal, put, ghost, now: () => testnet.group(group.id) }
  }

  test('a name and a topic reach the network', async () => {
    const { portal, put, now } = await newGroup(false)
    const named = await put('m.room.name', '', { name: 'Orchestra' })
    expect(await portal.statusOf(named)).toMatchObject({ status: 'SUCCESS' })
    await put('m.room.topic', '', { topic: 'Strings only' })
    await waitFor(async () => (await now()).topic === 'Strings only')
    expect(await now()).toMatchObject({ name: 'Orchestra' })
  })

  test('members are added by whoever is one, and removed by the owner', async () => {
    const { portal, put, ghost, now, friend } = await newGroup(true)
    const other = await scene().testnet.newPhone({ lid: true })
    const invited = await put('m.room.member', ghost(`lid-${other.lid}`), { membership: 'invite' })
    expect(await portal.statusOf(invited)).toMatchObject({ status: 'SUCCESS' })
    await waitFor(async () => (await portal.ghosts()).includes(`lid-${other.lid}`))
    await put('m.room.member', ghost(friend.id), { membership: 'leave' })
    await waitFor(async () => !(await now()).members.includes(friend.id))
    expect((await now()).members).toContain(other.id)
  })

  test('an owner makes an admin of a member, and no longer, from Matrix and from the phone', async () => {
    const { portal, put, now, friend, ghost, group } = await newGroup(true)
    const levels = async () =>
      (await portal.stateOf('m.room.power_levels')) as { users: Record<string, number> }
    const setLevel = async (level: number) => {
      const before = await levels()
      return put('m.room.power_levels', '', {
        ...before,
        users: { ...before.users, [ghost(friend.id)]: level },
      })
    }
    expect(await portal.statusOf(await setLevel(50))).toMatchObject({ status: 'SUCCESS' })
    expect((await now()).admins).toEqual([friend.id])
    expect(await portal.statusOf(await setLevel(0))).toMatchObject({ status: 'SUCCESS' })
    expect((await now()).admins ?? []).toEqual([])
    await scene().testnet.changeGroup(group.id, { promote: [friend.id] })
    await waitFor(async () => (await levels()).users[ghost(friend.id)] === 50)
  })

  test('who leaves the room leaves the group', async () => {
    const { phone, put, user, now } = await newGroup(false)
    await put('m.room.member', user, { membership: 'leave' })
    await waitFor(async () => !(await now()).members.includes(phone.id))
  })
}
