/** Changes of chats of a real bridge’s network: settings, members, leaving, blocking. */
import { expect, test } from 'bun:test'
import type { ActionView } from '../../../../src/domain/views/action.ts'
import type { ChatView } from '../../../../src/domain/views/chat.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, type SettingOf, untilEnded } from './setting.ts'

const DAY_S = 86_400
/** A GIF of one pixel. */
const PICTURE = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'

export function chatChangeCases(setting: SettingOf): void {
  const path = (chat: string) => `/api/v1/chats/${chat}`

  /** A group that the user has made, and the network's id of it. */
  async function ownGroup(user: LinkedUser, members: TestnetPhone[]) {
    const { api } = user.account
    const made = await api.post<ChatView>(`/api/v1/devices/${user.device}/groups`, {
      name: 'Team',
      participants: members.map(({ number }) => number),
    })
    if (made.status !== 201) throw new Error(`no group: ${JSON.stringify(made.body)}`)
    await user.account.send(user.device, { chat_id: made.body.id, text: 'hello team' })
    const [first] = members
    const { group = '' } = (await first?.waitForText('hello team')) ?? {}
    return { chat: made.body.id, group, now: () => setting().testnet.group(group) }
  }

  /** @returns the actions, once each is sent */
  async function changed(user: LinkedUser, chat: string, change: object): Promise<ActionView[]> {
    const { status, body } = await user.account.api.patch<{ data: ActionView[] }>(chat, change)
    if (status !== 202) throw new Error(`${status}: ${JSON.stringify(body)}`)
    const ended: ActionView[] = []
    for (const action of body.data) ended.push(await untilEnded(user, action))
    for (const { type, status: end, reason } of ended)
      expect({ type, status: end, reason }).toEqual({ type, status: 'sent', reason: null })
    return ended
  }

  test('a group has another name and topic on the network, unless a part of the change is refused', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const { chat, now } = await ownGroup(user, [friend])
    const actions = await changed(user, path(chat), { name: 'Orchestra', topic: 'Strings' })
    expect(actions.map(({ type }) => type)).toEqual(['rename', 'set_topic'])
    expect(await now()).toMatchObject({ name: 'Orchestra', topic: 'Strings' })
    // The room's change comes back to the gateway.
    const shown = async () => (await user.account.api.get<ChatView>(path(chat))).body
    await waitFor(async () => (await shown()).topic === 'Strings', { what: 'the topic' })
    expect((await shown()).name).toBe('Orchestra')
    const refused = await user.account.api.patch(path(chat), { name: 'Band', disappearing_s: 61 })
    expect(refused).toMatchObject({ status: 422, body: { feature: 'com.beeper.disappearing_timer' } })
    expect((await now()).name).toBe('Orchestra')
  })

  test('a group has a picture on the network, and none again', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const { chat, now } = await ownGroup(user, [friend])
    const shown = async () => (await user.account.api.get<ChatView>(path(chat))).body.avatar_url
    const form = new FormData()
    form.append('avatar', new Blob([Buffer.from(PICTURE, 'base64')]))
    const actions = await changed(user, path(chat), form)
    expect(actions.map(({ type }) => type)).toEqual(['set_avatar'])
    expect((await now()).avatar).toBe(PICTURE)
    await waitFor(async () => (await shown()) !== null, { what: 'the picture' })
    await changed(user, path(chat), { avatar: null })
    expect((await now()).avatar).toBeUndefined()
    await waitFor(async () => (await shown()) === null, { what: 'no picture any more' })
  })

  test('messages disappear after a time, and no longer', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { chat_id: chat } = await user.inbox.next()
    for (const seconds of [DAY_S, 0]) {
      await changed(user, path(chat ?? ''), { disappearing_s: seconds })
      expect(await friend.timer(user.phone.id)).toBe(seconds)
    }
  })

  test('members of a group are added, made admins, and no longer, and removed', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const [friend, other] = [await testnet.newPhone(), await testnet.newPhone({ lid: true })]
    const { chat, now } = await ownGroup(user, [friend])
    const who = [other.number]
    const members = `${path(chat)}/members`
    const roles = async () => {
      const { body } = await user.account.api.get<{ data: { phone: string | null; role: string }[] }>(members)
      return Object.fromEntries(body.data.map(({ phone, role }) => [phone, role]))
    }
    await changed(user, members, { add: who })
    expect((await now()).members).toContain(other.id)
    await waitFor(async () => (await roles())[other.number] === 'member', { what: 'a new member' })
    await changed(user, members, { promote: who })
    expect((await now()).admins).toContain(other.id)
    expect((await roles())[other.number]).toBe('admin')
    await changed(user, members, { demote: who })
    expect((await now()).admins ?? []).not.toContain(other.id)
    await changed(user, members, { remove: who })
    expect((await now()).members).not.toContain(other.id)
    await waitFor(async () => (await roles())[other.number] === undefined, { what: 'one member less' })
  })

  test('what only the owner of a group may do fails, and the group stays as it is', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const [friend, other] = [await testnet.newPhone(), await testnet.newPhone()]
    const group = await testnet.newGroup('Choir', friend, [user.phone, other])
    await friend.send({ group: group.id, text: 'welcome' })
    const { chat_id: chat } = await user.inbox.next()
    const { body } = await user.account.api.patch<{ data: ActionView[] }>(`${path(chat ?? '')}/members`, {
      promote: [other.number],
    })
    const [action = { id: '' }] = body.data
    expect(await untilEnded(user, action)).toMatchObject({ status: 'failed', reason: expect.any(String) })
    expect((await testnet.group(group.id)).admins ?? []).not.toContain(other.id)
  })

  test('a group is left', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const friend = await testnet.newPhone()
    const group = await testnet.newGroup('Choir', friend, [user.phone])
    await friend.send({ group: group.id, text: 'welcome' })
    const { chat_id: chat } = await user.inbox.next()
    const { status, body } = await user.account.api.post<ActionView>(`${path(chat ?? '')}/leave`, {})
    expect([status, body.type]).toEqual([202, 'leave'])
    expect(await untilEnded(user, body)).toMatchObject({ status: 'sent', reason: null })
    await waitFor(async () => !(await testnet.group(group.id)).members.includes(user.phone.id), {
      what: 'the group without its member',
    })
    // Its own leaving comes back to the gateway.
    await waitFor(async () => (await user.account.groups(user.device)).length === 0, { what: 'no group' })
  })

  test('who is blocked reaches the account no more', async () => {
    await using user = await linkedUser(setting())
    const [friend, other] = [await setting().testnet.newPhone(), await setting().testnet.newPhone()]
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { chat_id: chat } = await user.inbox.next()
    const { status, body } = await user.account.api.post<ActionView>(`${path(chat ?? '')}/block`, {})
    expect([status, body.type]).toEqual([202, 'block'])
    expect(await untilEnded(user, body)).toMatchObject({ status: 'sent', reason: null })
    expect(await user.phone.blocked()).toEqual([friend.id])
    await friend.send({ to: user.phone.id, text: 'are you there?' })
    await other.send({ to: user.phone.id, text: 'I am not blocked' })
    expect((await user.inbox.next()).message).toBe('I am not blocked')
  })
}
