/** Recipients on a network whose ids are numbers, UUIDs or names: each form leads to one person. */
import { expect, test } from 'bun:test'
import type { ContactView, GroupView } from '../../../../src/domain/views/contact.ts'
import type { PlatformView } from '../../../../src/domain/views/platform.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { FLOWS, linkedUser, PLATFORM, type SettingOf } from './setting.ts'

export function addressingCases(setting: SettingOf): void {
  test('the platform says what it can do', async () => {
    const { deployment } = setting()
    const account = await deployment.client.account()
    const { body } = await account.api.get<PlatformView[]>('/api/v1/platforms')
    const platform = body.find(candidate => candidate.platform === PLATFORM)
    expect(platform).toMatchObject({ name: 'Testnet', state: 'available', driver: 'provisioning' })
    expect(platform?.flows.map(({ id }) => id).sort()).toEqual(FLOWS)
    expect(platform?.capabilities).toMatchObject({
      create_chat: true,
      lookup_phone: true,
      contact_list: true,
    })
  })

  test('a UUID, a number, a Matrix id: one person, one chat', async () => {
    const { testnet } = setting()
    const bob = await testnet.newPhone({ name: 'Bob', opaque: true })
    await using user = await linkedUser(setting(), { contacts: [bob.id] })
    const { account, device } = user
    const path = `/api/v1/devices/${device}/contacts`
    const { body } = await account.api.get<ContactView[]>(path)
    expect(body).toMatchObject([{ id: bob.id, name: expect.stringContaining('Bob') }])
    const ways = [bob.id, bob.number, `+${bob.number}`, String(body[0]?.matrix_id)]
    for (const [index, way] of ways.entries()) {
      const check = await account.api.get<ContactView>(`${path}/${encodeURIComponent(way)}`)
      expect(check.body).toMatchObject({ exists: true, id: bob.id, matrix_id: body[0]?.matrix_id })
      await account.send(device, { platform: PLATFORM, contact: way, text: `way ${index}` })
      await bob.waitForText(`way ${index}`)
    }
    const nobody = '00000000-0000-4000-8000-000000000000'
    const checks = await account.api.post(`${path}/check`, { numbers: [...ways, nobody] })
    expect(checks.body).toMatchObject({
      data: [
        ...ways.map(number => ({ number, exists: true, id: bob.id, matrix_id: body[0]?.matrix_id })),
        { number: nobody, exists: false, id: null },
      ],
    })
    expect((await account.api.get(`${path}/${nobody}`)).body).toMatchObject({
      exists: false,
    })
  })

  test('a number and its hidden id: one person in a check of both', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const friend = await testnet.newPhone({ name: 'Lena', lid: true })
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { from } = await user.inbox.next()
    const { body } = await user.account.api.post<{ data: ContactView[] }>(
      `/api/v1/devices/${user.device}/contacts/check`,
      { numbers: [friend.number, from, `lid-${friend.lid}`] },
    )
    const [byNumber, ...byLid] = body.data
    expect(byNumber).toMatchObject({ exists: true, phone: friend.number, matrix_id: from })
    for (const { id, name, phone, native_ids, matrix_id } of byLid)
      expect(byNumber).toMatchObject({ id, name, phone, native_ids, matrix_id })
  })

  test('an account whose login has another id than its user: a device by that, whose own words are not received', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting(), { opaque: true })
    const { account, device, phone, inbox } = user
    const ann = await testnet.newPhone({ name: 'Ann' })
    await phone.send({ to: ann.id, text: 'from my own phone' })
    await ann.waitForText('from my own phone')
    await ann.send({ to: phone.id, text: 'an answer' })
    const received = await inbox.next()
    expect(received).toMatchObject({ message: 'an answer', device_id: device })
    // A webhook's sender id is an address, too.
    await account.send(encodeURIComponent(device), {
      platform: PLATFORM,
      contact: received.from,
      text: 'back to you',
    })
    await ann.waitForText('back to you')
  })

  test('groups by their ids', async () => {
    const { testnet } = setting()
    await using user = await linkedUser(setting())
    const { account, device, phone } = user
    const ann = await testnet.newPhone()
    const group = await testnet.newGroup('Addressed', ann, [phone])
    await ann.send({ group: group.id, text: 'hello' })
    const groups = async () =>
      (await account.api.get<GroupView[]>(`/api/v1/devices/${device}/groups`)).body.find(
        ({ name }) => name === 'Addressed',
      )
    const listed = await waitFor(groups, { what: 'the group', deadlineMs: 20_000 })
    expect(listed).toMatchObject({ id: group.id, kind: 'group' })
    await account.send(device, { platform: PLATFORM, group_url: listed.id, text: 'by its id' })
    await ann.waitForText('by its id')
    // A member doesn't join again.
    await account.send(device, { platform: PLATFORM, group_url: group.invite_link, text: 'by its link' })
    await ann.waitForText('by its link')
  })
}
