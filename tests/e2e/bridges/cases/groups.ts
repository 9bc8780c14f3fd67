/** Groups of a real bridge's network: made, joined, changed; who is in them, and who types. */
import { expect, test } from 'bun:test'
import type { ChatView } from '../../../../src/domain/views/chat.ts'
import type { ChatUpdatedEvent, MemberEvent } from '../../../../src/domain/views/event.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf } from './setting.ts'

interface Member {
  phone: string | null
  role: string
}

export function groupCases(setting: SettingOf): void {
  const groupsOf = ({ device }: LinkedUser) => `/api/v1/devices/${device}/groups`

  const membersOf = async ({ account }: LinkedUser, chat: string): Promise<Member[]> =>
    (await account.api.get<{ data: Member[] }>(`/api/v1/chats/${chat}/members`)).body.data

  /** A group of the user's friend, in which the friend has said something. */
  async function groupOf(user: LinkedUser, friend: TestnetPhone) {
    const group = await setting().testnet.newGroup('Choir', friend, [user.phone])
    await friend.send({ group: group.id, text: 'welcome' })
    return { group, chat: (await user.inbox.next()).chat_id ?? '' }
  }

  test('is made with its participants, and what is written there arrives', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const [one, other] = [await testnet.newPhone(), await testnet.newPhone({ lid: true })]
    const made = await user.account.api.post<ChatView & { not_added: unknown }>(groupsOf(user), {
      name: 'Team',
      participants: [one.number, `+${other.number}`],
    })
    expect({ status: made.status, ...made.body }).toMatchObject({ status: 201, kind: 'group', name: 'Team' })
    const { id } = made.body
    await user.account.send(user.device, { chat_id: id, text: 'hello team' })
    const { group } = await one.waitForText('hello team')
    await other.waitForText('hello team')
    expect(await testnet.group(group ?? '')).toMatchObject({
      name: 'Team',
      owner: user.phone.id,
      members: expect.arrayContaining([user.phone.id, one.id, other.id]),
    })
    const members = await membersOf(user, id)
    expect(members.map(({ phone }) => phone).toSorted()).toEqual(
      [user.phone.number, one.number, other.number].toSorted(),
    )
    await one.send({ group: group ?? '', text: 'hello you' })
    expect(await user.inbox.next()).toMatchObject({ message: 'hello you', chat_id: id })
  })

  test('with somebody whom nobody knows is not made', async () => {
    await using user = await linkedUser(setting())
    const participants = ['4915299999999']
    const { status } = await user.account.api.post(groupsOf(user), { name: 'Nobody', participants })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(await user.account.groups(user.device)).toEqual([])
  })

  test('is joined by its link, also a second time', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const friend = await testnet.newPhone()
    const group = await testnet.newGroup('Open', friend)
    const join = () =>
      user.account.api.post<ChatView>(`${groupsOf(user)}/join?platform=${PLATFORM}`, {
        link: group.invite_link,
      })
    const first = await join()
    expect({ status: first.status, ...first.body }).toMatchObject({ status: 201, name: 'Open' })
    expect((await join()).body.id).toBe(first.body.id)
    expect((await testnet.group(group.id)).members).toContain(user.phone.id)
  })

  test('tells who comes and goes, and what it is called then', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const friend = await testnet.newPhone()
    const other = await testnet.newPhone({ name: 'Ben' })
    const { group, chat } = await groupOf(user, friend)
    await using told = await InboxReader.of<MemberEvent | ChatUpdatedEvent>(user.account, [
      ...(['member.joined', 'member.left', 'chat.updated'] as const),
    ])
    await testnet.changeGroup(group.id, { add: [other.number] })
    expect(await told.next()).toMatchObject({
      event: 'member.joined',
      chat_id: chat,
      member: { phone: other.number },
      is_self: false,
    })
    await waitFor(async () => (await membersOf(user, chat)).some(({ phone }) => phone === other.number))
    await testnet.changeGroup(group.id, { remove: [other.number] })
    expect(await told.next()).toMatchObject({ event: 'member.left', member: { phone: other.number } })
    await testnet.changeGroup(group.id, { name: 'Orchestra', topic: 'Strings' })
    const changes = [await told.next(), await told.next()]
    expect(changes.flatMap(event => ('changed' in event ? event.changed : [])).toSorted()).toEqual([
      'name',
      'topic',
    ])
    const { body } = await user.account.api.get<ChatView>(`/api/v1/chats/${chat}`)
    expect(body).toMatchObject({ name: 'Orchestra', topic: 'Strings' })
  })

  test('shows its owner as such, and who is made an admin', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const { group, chat } = await groupOf(user, friend)
    const roleOf = async (phone: TestnetPhone) =>
      (await membersOf(user, chat)).find(member => member.phone === phone.number)?.role
    expect(await roleOf(user.phone)).toBe('member')
    expect(await roleOf(friend)).toMatch(/owner|admin/)
    await setting().testnet.changeGroup(group.id, { promote: [user.phone.id] })
    await waitFor(async () => (await roleOf(user.phone)) === 'admin')
  })

  test('and a direct chat show who types here', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    const { chat } = await groupOf(user, friend)
    await friend.send({ to: user.phone.id, text: 'hello' })
    const direct = (await user.inbox.next()).chat_id ?? ''
    for (const id of [chat, direct]) {
      const before = (await friend.events()).length
      const { status } = await user.account.api.post(`/api/v1/chats/${id}/typing`, { typing: true })
      expect(status).toBe(204)
      await waitFor(async () => (await friend.events()).slice(before).some(event => event.typing === true))
      await user.account.api.post(`/api/v1/chats/${id}/typing`, { typing: false })
      await waitFor(async () => (await friend.events()).slice(before).some(event => event.typing === false))
    }
  })
}
