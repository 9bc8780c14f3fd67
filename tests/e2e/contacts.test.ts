/** Contacts and groups of a sandbox device, and its platforms' capabilities. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { ContactView, GroupView } from '../../src/domain/views/contact.ts'
import type { PlatformView } from '../../src/domain/views/platform.ts'
import type { GatewayClient } from '../support/gateway-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
})
afterAll(() => gateway[Symbol.asyncDispose]())

const path = (device: string, rest: string) => `/api/v1/devices/${device}/${rest}`

test('platforms, with their flows and what they can do', async () => {
  const account = await client.account()
  const { body } = await account.api.get<PlatformView[]>('/api/v1/platforms')
  expect(body.map(({ platform, name, state, driver }) => [platform, name, state, driver])).toEqual([
    ['signal', 'Signal', 'available', 'provisioning'],
    ['telegram', 'Telegram', 'available', 'provisioning'],
    ['wa', 'WhatsApp', 'available', 'provisioning'],
  ])
  const wa = body.find(({ platform }) => platform === 'wa')
  expect(wa?.flows.map(({ id }) => id)).toEqual(['qr', 'phone'])
  expect(wa?.capabilities).toMatchObject({ resolve: true, create_chat: true, contact_list: true })
})

describe('contacts', () => {
  test('are those of the address book, by name; a part of name or number finds them', async () => {
    const contacts = [
      { phone: '4915100000001', name: 'Zoe' },
      { phone: '4915100000002', name: 'Ann' },
    ]
    const { account, device } = await client.linkedAccount({ contacts })
    const list = async (query = '') =>
      (await account.api.get<ContactView[]>(path(device, `contacts${query}`))).body
    const all = await list()
    expect(all.map(({ name }) => name)).toEqual(['Ann', 'Zoe'])
    expect(all[0]).toMatchObject({ phone: '4915100000002', identifiers: ['tel:+4915100000002'] })
    expect((await list('?query=zo')).map(({ name }) => name)).toEqual(['Zoe'])
    for (const query of ['+4915100000002', '0049 1510 000-0002', '\u202a４９１５１０００００００２\u202c'])
      expect((await list(`?query=${encodeURIComponent(query)}`)).map(({ name }) => name)).toEqual(['Ann'])
    expect(await list('?limit=1')).toHaveLength(1)
  })

  test.each(['wa', 'signal', 'telegram'] as const)(
    'of %s: each way to write one is usable to send',
    async platform => {
      const peer = await client.newPhone()
      const contacts = [{ phone: peer.number, name: 'Peer' }]
      const { account, device } = await client.linkedAccount({ platform, contacts })
      const { body } = await account.api.get<ContactView[]>(path(device, `contacts?platform=${platform}`))
      const [contact] = body
      const ways = [contact?.id, contact?.phone, contact?.matrix_id, `+${peer.number}`]
      for (const [index, way] of ways.entries()) {
        const written = String(way)
        const check = await account.api.get(path(device, `contacts/${encodeURIComponent(written)}`))
        expect(check.body).toMatchObject({ exists: true, id: contact?.id })
        await account.send(device, { platform, contact: written, text: `way ${index}` })
        await peer.waitForText(`way ${index}`)
      }
    },
  )

  test('a check takes a number as people paste it', async () => {
    const { account, device } = await client.linkedAccount()
    for (const written of [
      '\u2066+49 (0) 151\u201100000003\u2069',
      '0049 15100000003',
      '4915100000003@c.us',
    ]) {
      const { body } = await account.api.get(path(device, `contacts/${encodeURIComponent(written)}`))
      expect(body).toMatchObject({ exists: true, phone: '4915100000003' })
    }
  })

  test('a number that nobody has does not exist', async () => {
    const { account, device } = await client.linkedAccount()
    const { status, body } = await account.api.get(path(device, 'contacts/+999123'))
    expect([status, body]).toEqual([
      200,
      {
        exists: false,
        id: null,
        name: null,
        phone: null,
        native_ids: [],
        matrix_id: null,
        room: null,
        identifiers: [],
        avatar_url: null,
      },
    ])
  })
})

test('groups: only those that the device is in; their ids can be written to', async () => {
  const { account, device } = await client.linkedAccount()
  const peer = await client.newPhone()
  const group = await client.newGroup('Friends', [peer.number])
  const groups = async () => (await account.api.get<GroupView[]>(path(device, 'groups'))).body
  expect(await groups()).toEqual([])
  await account.send(device, { group_url: group.invite_link, text: 'by link' })
  await peer.waitForText('by link')
  const [joined] = await groups()
  expect(joined).toMatchObject({ id: group.id, name: 'Friends', kind: 'group' })
  await account.send(device, { group_url: String(joined?.id), text: 'by id' })
  await peer.waitForText('by id')
})

test("another identity's device, and one that is none, are not there", async () => {
  const { device } = await client.linkedAccount()
  const stranger = await client.account()
  for (const rest of ['contacts', 'contacts/49', 'groups']) {
    expect((await stranger.api.get(path(device, rest))).status).toBe(404)
    expect((await stranger.api.get(path('1', rest))).status).toBe(404)
  }
})
