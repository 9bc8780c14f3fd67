/** Groups, the management room, and faults on purpose. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, USER } from './harness.ts'

const BOT = '@whatsappbot:test.example'

let harness: Harness
beforeEach(async () => {
  harness = await createHarness()
  await harness.link()
})
afterEach(() => harness.close())

async function managementRoom(bot = BOT): Promise<string> {
  const { room_id } = await harness.matrix('POST', 'createRoom', { is_direct: true, invite: [bot] }, USER)
  await harness.event(
    event => event.room_id === room_id && event.state_key === bot && event.content.membership === 'join',
  )
  return String(room_id)
}

/** @returns the bot's answer to a command */
async function order(room: string, text: string): Promise<string> {
  const eventId = await harness.send(room, { msgtype: 'm.text', body: text })
  const after = () => harness.seen.findIndex(event => event.event_id === eventId)
  const answer = await waitFor(() => {
    const at = after()
    return at < 0
      ? null
      : harness.seen.slice(at + 1).find(event => event.room_id === room && event.sender !== USER)
  })
  return String(answer.content.body)
}

async function groupId(platform = 'wa', code = 'invite123'): Promise<string> {
  const groups = (await harness.api('GET', 'api/groups')).json as Json[]
  return String(groups.find(group => group.platform === platform && group.invite_code === code)?.id)
}

/** @returns the room of a group that the user was invited to */
function portalOf(id: string): Promise<string> {
  return waitFor(async () => {
    const invited = harness.seen.filter(
      event =>
        event.state_key === USER && event.type === 'm.room.member' && event.content.membership === 'join',
    )
    for (const { room_id } of invited) {
      const path = `rooms/${room_id}/state/m.bridge/whatsapp`
      const state = await harness.matrix('GET', path, undefined, USER).catch(() => null)
      if ((state?.channel as Json | undefined)?.id === id) return room_id
    }
    return null
  })
}

describe('the management room', () => {
  test('is the first one that the bot is invited to', async () => {
    const room = await managementRoom()
    await waitFor(async () => (await harness.provision('GET', 'whoami')).body.management_room === room)
  })

  test('resolves and joins groups by their links', async () => {
    const room = await managementRoom()
    const id = await groupId()
    expect(id).toMatch(/^1203630?\d+@g\.us$/)
    expect(await order(room, 'resolve-link https://chat.whatsapp.com/invite123')).toBe(
      `That invite link points at Weekend hikers (\`${id}\`)`,
    )
    expect(await order(room, 'join https://chat.whatsapp.com/invite123')).toBe(
      `Successfully joined group \`${id}\`, the portal should be created momentarily`,
    )
    const portal = await portalOf(id)
    const eventId = await harness.send(portal, { msgtype: 'm.text', body: 'hello all' })
    expect(await harness.status(eventId)).toMatchObject({ status: 'SUCCESS' })
    const members = ['1234567890', '0987654321', '4915112345678']
    for (const member of members) {
      const texts = (await harness.messages(member)).map(({ from, text }) => `${from} ${text}`)
      expect(texts.sort()).toEqual(
        ['237123456789 hello all', ...members.map(one => `${one} echo: hello all`)].sort(),
      )
    }
    for (const member of members) {
      await harness.event(
        event =>
          event.sender === `@whatsapp_${member}:test.example` && event.content.body === 'echo: hello all',
      )
    }
  })

  test('says what is wrong with a link', async () => {
    const room = await managementRoom()
    expect(await order(room, 'join https://example.com/x')).toBe(
      "That doesn't look like a WhatsApp invite link",
    )
    expect(await order(room, 'join https://chat.whatsapp.com/nothing')).toStartWith('Failed to join group')
    expect(await order(room, 'resolve-link https://chat.whatsapp.com/nothing')).toStartWith(
      'Failed to get group info',
    )
    expect(await order(room, 'join')).toContain('Usage')
  })

  test('other platforms have links of their own', async () => {
    await harness.link('237123456789', 'telegram')
    const room = await managementRoom('@telegrambot:test.example')
    expect(await order(room, 'resolve-link https://t.me/+invite456')).toContain('Neighbourhood news')
  })

  test('lists, starts chats, logs out, and helps', async () => {
    const room = await managementRoom()
    expect(await order(room, 'help')).toContain('list-logins')
    expect(await order(room, '!wa list-logins')).toContain('237123456789')
    expect(await order(room, 'start-chat 1234567890')).toContain('Created chat with Jonas Weber')
    expect(await order(room, 'start-chat 99912345')).toBe('Identifier not found')
    expect(await order(room, 'dance')).toContain('Unknown command')
    expect(await order(room, 'logout 237123456789')).toBe('Logged out')
    expect(await order(room, 'join https://chat.whatsapp.com/invite123')).toBe("You're not logged in")
  })

  test('logs in by a code shown as an image', async () => {
    const room = await managementRoom()
    await order(room, 'logout 237123456789')
    const code = (await order(room, 'login qr')).split('/').at(-1)
    await harness.api('POST', `link/${code}`, { phone: '1234567890' })
    const done = await harness.event(event => event.content.body === 'Successfully logged in as +1234567890')
    expect(done.sender).toBe(BOT)
    await harness.event(event => event.type === 'm.room.redaction' && event.room_id === room)
  })
})

test('somebody whose number is hidden has one ghost for direct chats and another for groups', async () => {
  const hidden = '5550163'
  const { json: group } = await harness.api('POST', 'api/groups', {
    name: 'Hidden',
    members: ['237123456789', hidden],
  })
  const senderOf = async (text: string, to: Json) => {
    await harness.api('POST', `api/phones/${hidden}/messages`, { text, ...to })
    return (await harness.event(event => event.content.body === text)).sender
  }
  expect(await senderOf('for all', { group: group.invite_link })).toBe(`@whatsapp_${hidden}:test.example`)
  const direct = await senderOf('for you', { to: '237123456789' })
  expect(direct).toMatch(/^@whatsapp_lid-\d+:test\.example$/)
  const resolved = await harness.provision('GET', `resolve_identifier/${hidden}`)
  expect(resolved.body).toMatchObject({ mxid: direct, identifiers: [`tel:+${hidden}`] })
})

describe('groups of the network', () => {
  test('a member writes by link, code or id, and linked members get it', async () => {
    const made = await harness.api('POST', 'api/groups', {
      name: 'Choir',
      members: ['237123456789', '1234567890'],
    })
    expect(made.status).toBe(201)
    for (const [index, group] of [made.json.invite_link, made.json.invite_code, made.json.id].entries()) {
      const text = `note ${index}`
      const sent = await harness.api('POST', 'api/phones/1234567890/messages', { group, text })
      expect(sent.json).toMatchObject({ to: made.json.id, chat: made.json.id, group: { name: 'Choir' } })
      await harness.event(event => event.content.body === text)
    }
    const portal = await portalOf(made.json.id)
    const name = await harness.matrix('GET', `rooms/${portal}/state/m.room.name/`, undefined, USER)
    expect(name).toEqual({ name: 'Choir' })
  })

  test('what was written before the linking is filled in, in its own time', async () => {
    const group = await groupId()
    for (let n = 0; n < 55; n++) {
      await harness.api('POST', 'api/phones/1234567890/messages', { group, text: `old ${n}` })
    }
    const times = new Map(
      (await harness.messages('0987654321')).map(message => [message.text, message.timestamp]),
    )
    await harness.link('0987654321')
    const last = await harness.event(event => event.content.body === 'old 54')
    expect(new Date(last.origin_server_ts).toISOString().slice(0, 19)).toBe(
      times.get('old 54')?.slice(0, 19) ?? '',
    )
    const filled = harness.seen.filter(event => String(event.content.body).startsWith('old '))
    expect(filled.map(event => event.content.body)).toEqual(
      Array.from({ length: 50 }, (_, n) => `old ${n + 5}`),
    )
  })
})

describe('faults', () => {
  const text = (body: string) => ({ msgtype: 'm.text', body })

  test('the next sends fail as told, then no more', async () => {
    const room = await harness.room('1234567890')
    await harness.api('POST', 'api/faults', {
      fail_next: 1,
      fail_reason: 'm.foreign_network_error',
      retriable: false,
    })
    const failed = await harness.status(await harness.send(room, text('lost')))
    expect(failed).toMatchObject({ status: 'FAIL_PERMANENT', reason: 'm.foreign_network_error' })
    await harness.api('POST', 'api/faults', { fail_next: 1, retriable: true })
    expect((await harness.status(await harness.send(room, text('lost')))).status).toBe('FAIL_RETRIABLE')
    expect((await harness.status(await harness.send(room, text('through')))).status).toBe('SUCCESS')
    const texts = (await harness.messages('1234567890')).map(message => message.text)
    expect(texts).toEqual(['through', 'echo: through'])
  })

  test('offline, nothing goes either way; back online, what waited arrives', async () => {
    const room = await harness.room('1234567890')
    await harness.api('POST', 'api/faults', { offline: true, platform: 'wa' })
    const [login] = (await harness.provision('GET', 'whoami')).body.logins as Json[]
    expect(login?.state).toMatchObject({ state_event: 'TRANSIENT_DISCONNECT' })
    const told = { platform: 'wa', loginId: login?.id }
    expect(harness.reported.at(-1)).toMatchObject({ ...told, state: 'TRANSIENT_DISCONNECT' })
    expect((await harness.status(await harness.send(room, text('out')))).status).toBe('FAIL_RETRIABLE')
    const start = await harness.provision('POST', 'login/start/qr')
    expect([start.status, start.body.error]).toEqual([500, 'Internal error starting login'])
    const { json } = await harness.api('POST', 'api/phones/1234567890/messages', {
      to: '237123456789',
      text: 'in',
    })
    expect(json.status).toBe('sent')
    expect(harness.seen.some(event => event.content.body === 'in')).toBe(false)
    await harness.api('DELETE', 'api/faults')
    expect(harness.reported.at(-1)).toMatchObject({ ...told, state: 'CONNECTED' })
    await harness.event(event => event.content.body === 'in')
    expect((await harness.api('GET', 'api/faults')).json.wa).toMatchObject({ offline: false, fail_next: 0 })
  })

  test('a phone that unlinks its device is gone from the logins, and the user is told', async () => {
    const room = await managementRoom()
    await waitFor(async () => (await harness.provision('GET', 'whoami')).body.management_room === room)
    expect((await harness.api('POST', 'api/faults', { logout: '237123456789', platform: 'wa' })).status).toBe(
      200,
    )
    expect((await harness.provision('GET', 'whoami')).body.logins).toEqual([])
    const notice = await harness.event(event => String(event.content.body).includes('BAD_CREDENTIALS'))
    expect(notice.room_id).toBe(room)
    expect((await harness.api('POST', 'api/faults', { logout: '237123456789' })).status).toBe(404)
  })

  test('a delay holds messages up', async () => {
    const room = await harness.room('1234567890')
    await harness.api('POST', 'api/faults', { delay_ms: 60 })
    const before = performance.now()
    await harness.status(await harness.send(room, text('slow')))
    expect(performance.now() - before).toBeGreaterThan(50)
  })
})
