/** Messages both ways, of every kind. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, manualClock, type SeenEvent, USER } from './harness.ts'

const ME = '237123456789'
const THEM = '1234567890'
const GHOST = `@whatsapp_${THEM}:test.example`

let harness: Harness
let room: string
beforeAll(async () => {
  harness = await createHarness()
  await harness.link()
  await harness.api('POST', 'api/phones', { phone: THEM, echo: false })
  room = await harness.room(THEM)
})
afterAll(() => harness.close())

function picture(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(PNG.sync.write(new PNG({ width: 12, height: 7 })))
}

async function lastOf(phone: string) {
  const message = (await harness.messages(phone)).at(-1)
  if (!message) throw new Error('no message')
  return message
}

async function sent(content: Json, type = 'm.room.message') {
  const eventId = await harness.send(room, content, type)
  expect((await harness.status(eventId)).status).toBe('SUCCESS')
  return { eventId, message: await lastOf(THEM) }
}

describe('from Matrix to the phone', () => {
  test('a text arrives once and is confirmed', async () => {
    const eventId = await harness.send(room, { msgtype: 'm.text', body: 'hello' })
    expect(await harness.status(eventId)).toMatchObject({
      'm.relates_to': { rel_type: 'm.reference', event_id: eventId },
      status: 'SUCCESS',
      network: 'whatsapp',
      delivered_to_users: [GHOST],
    })
    expect(await lastOf(THEM)).toMatchObject({
      from: ME,
      to: THEM,
      chat: ME,
      type: 'text',
      text: 'hello',
      file: null,
    })
    expect(await lastOf(ME)).toMatchObject({ from: ME, to: THEM, chat: THEM })
  })

  test.each([
    ['m.notice', 'notice'],
    ['m.emote', 'emote'],
  ])('%s arrives as %s', async (msgtype, type) => {
    const { message } = await sent({ msgtype, body: 'said' })
    expect(message).toMatchObject({ type, text: 'said' })
  })

  test.each([
    ['m.image', 'image', 'image/png', { width: 12, height: 7 }, 'look', {}],
    ['m.video', 'video', 'video/mp4', {}, 'look', {}],
    ['m.audio', 'audio', 'audio/mpeg', {}, '', {}],
    ['m.audio', 'voice', 'audio/ogg; codecs=opus', {}, '', { 'org.matrix.msc3245.voice': {} }],
    ['m.file', 'file', 'image/tiff', {}, 'look', {}],
  ])(
    '%s arrives as %s of type %s, with its bytes and, where the network has them, its caption',
    async (msgtype, type, mimeType, size, text, extra) => {
      const bytes = picture()
      const url = await harness.upload(bytes, mimeType, 'dot.png')
      const { message } = await sent({
        msgtype,
        body: 'look',
        filename: 'dot.png',
        url,
        info: { mimetype: mimeType },
        ...extra,
      })
      expect(message).toMatchObject({
        type,
        text,
        file: { name: 'dot.png', mime_type: mimeType, size: bytes.length, ...size },
      })
      const response = await harness.sandbox.fetch(new Request(`http://localhost${message.file?.url}`))
      expect(await response.bytes()).toEqual(bytes)
      // The homeserver's copy is a hard link to the same file.
      const { pathname } = new URL(message.file?.url ?? '', 'http://localhost')
      const mediaId = pathname.split('/').find(part => /^[\da-f-]{36}$/.test(part)) ?? ''
      expect(statSync(join(harness.folder, 'sandbox-media', mediaId)).nlink).toBe(2)
    },
  )

  test('a file without a caption has none, and a sticker is one', async () => {
    const url = await harness.upload(picture(), 'image/png', 'dot.png')
    expect((await sent({ msgtype: 'm.image', body: 'dot.png', url })).message.text).toBe('')
    const { message } = await sent({ body: 'wave', url, info: { mimetype: 'image/png' } }, 'm.sticker')
    expect(message.type).toBe('sticker')
  })

  test('a location', async () => {
    const { message } = await sent({ msgtype: 'm.location', body: 'here', geo_uri: 'geo:4.05,9.77;u=10' })
    expect(message).toMatchObject({
      type: 'location',
      text: 'here',
      location: { latitude: 4.05, longitude: 9.77 },
    })
  })

  test('a reply quotes the message, one to something unknown quotes nothing', async () => {
    const { eventId, message } = await sent({ msgtype: 'm.text', body: 'first' })
    const relation = (id: string) => ({ 'm.relates_to': { 'm.in_reply_to': { event_id: id } } })
    const reply = await sent({ msgtype: 'm.text', body: 'second', ...relation(eventId) })
    expect(reply.message.reply_to).toBe(message.id)
    const lost = await sent({ msgtype: 'm.text', body: 'third', ...relation('$nothing') })
    expect(lost.message.reply_to).toBeNull()
  })

  test('reactions, edits and redactions change the message they are about', async () => {
    const { eventId, message } = await sent({ msgtype: 'm.text', body: 'tpyo' })
    const reaction = await sent(
      { 'm.relates_to': { rel_type: 'm.annotation', event_id: eventId, key: '👍' } },
      'm.reaction',
    )
    expect(reaction.message).toMatchObject({
      type: 'reaction',
      reaction: { message: message.id, emoji: '👍' },
    })
    const edit = {
      msgtype: 'm.text',
      body: '* typo',
      'm.new_content': { msgtype: 'm.text', body: 'typo' },
      'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    }
    expect((await sent(edit)).message).toMatchObject({ type: 'edit', text: 'typo', edits: message.id })
    const now = async () => (await harness.messages(THEM)).find(one => one.id === message.id)
    expect(await now()).toMatchObject({ text: 'typo', edited: true, reactions: [{ from: ME, emoji: '👍' }] })
    await harness.matrix('PUT', `rooms/${room}/redact/${reaction.eventId}/unreact`, {}, USER)
    await waitFor(async () => (await now())?.reactions.length === 0)
    await harness.matrix('PUT', `rooms/${room}/redact/${eventId}/gone`, {}, USER)
    await waitFor(async () => (await now())?.deleted)
    expect(await now()).toMatchObject({ text: '' })
  })

  test('what the network has no word for fails for good', async () => {
    const eventId = await harness.send(room, { msgtype: 'm.key.verification.request', body: 'x' })
    expect(await harness.status(eventId)).toMatchObject({
      status: 'FAIL_PERMANENT',
      reason: 'com.beeper.unsupported_event',
    })
    const encrypted = await harness.send(room, { algorithm: 'm.megolm.v1.aes-sha2' }, 'm.room.encrypted')
    expect((await harness.status(encrypted)).reason).toBe('com.beeper.undecryptable_event')
    const lost = await harness.send(room, {
      msgtype: 'm.file',
      body: 'a.txt',
      url: 'mxc://test.example/nothing',
    })
    expect((await harness.status(lost)).status).toBe('FAIL_PERMANENT')
  })

  test('its room says what the network takes; anything else is refused as bridgev2 does', async () => {
    const { file } = await harness.matrix(
      'GET',
      `rooms/${room}/state/com.beeper.room_features/whatsapp`,
      undefined,
      USER,
    )
    expect(file).toMatchObject({ 'm.image': { mime_types: { 'image/jpeg': 2 } }, 'm.audio': { caption: -1 } })
    const url = await harness.upload(picture(), 'image/heic', 'dot.heic')
    const photo = { msgtype: 'm.image', body: 'dot.heic', url, info: { mimetype: 'image/heic' } }
    expect(await harness.status(await harness.send(room, photo))).toMatchObject({
      status: 'FAIL_RETRIABLE',
      reason: 'com.beeper.unsupported_event',
      message: expect.stringContaining('image/heic'),
    })
  })

  test('what the homeserver refuses for good holds up nothing that comes after it', async () => {
    harness.hooks.intercept = request =>
      request.url.includes('/join')
        ? Promise.resolve(Response.json({ errcode: 'M_FORBIDDEN' }, { status: 403 }))
        : null
    await harness.matrix('POST', 'createRoom', { invite: ['@whatsappbot:test.example'] }, USER)
    try {
      expect((await sent({ msgtype: 'm.text', body: 'still there?' })).message.text).toBe('still there?')
    } finally {
      harness.hooks.intercept = null
    }
  })

  test('a text or caption that is too long for the network fails for good', async () => {
    await harness.link(ME, 'telegram')
    const chat = await harness.room(THEM, 'telegram')
    const url = await harness.upload(picture(), 'image/png', 'dot.png')
    const photo = { msgtype: 'm.image', filename: 'dot.png', url, info: { mimetype: 'image/png' } }
    const fateOf = async (content: Json) => (await harness.status(await harness.send(chat, content))).status
    expect([
      await fateOf({ msgtype: 'm.text', body: 'x'.repeat(4_096) }),
      await fateOf({ msgtype: 'm.text', body: 'x'.repeat(4_097) }),
      await fateOf({ ...photo, body: 'x'.repeat(1_024) }),
      await fateOf({ ...photo, body: 'x'.repeat(1_025) }),
    ]).toEqual(['SUCCESS', 'FAIL_PERMANENT', 'SUCCESS', 'FAIL_PERMANENT'])
  })

  test('a chat of a phone that is linked no more takes nothing', async () => {
    await harness.link('4477001', 'wa')
    const { body } = await harness.provision('POST', `create_dm/${THEM}?login_id=4477001`)
    const other = String(body.dm_room_mxid)
    await harness.joined(other)
    await harness.provision('POST', 'logout/4477001')
    const eventId = await harness.send(other, { msgtype: 'm.text', body: 'anyone?' })
    expect((await harness.status(eventId)).status).toBe('FAIL_PERMANENT')
  })
})

describe('from the phone to Matrix', () => {
  async function post(message: Json | FormData) {
    const { status, json } = await harness.api('POST', `api/phones/${THEM}/messages`, message)
    expect(status).toBe(201)
    const event = await eventOf(json.id)
    return { id: json.id as string, event }
  }

  /** Finds a message's event in the sandbox's table. */
  function eventOf(messageId: string): Promise<SeenEvent> {
    return waitFor(() => {
      const row = harness.database
        .query<{ event_id: string }, [string]>('SELECT event_id FROM sandbox_event WHERE message_id = ?')
        .get(messageId)
      return row && harness.seen.find(event => event.event_id === row.event_id)
    })
  }

  test('what is too large for an event is given up and told in the chat, which goes on', async () => {
    const { event } = await post({ to: ME, text: 'x'.repeat(65_500) })
    expect(event.content).toMatchObject({
      msgtype: 'm.notice',
      body: expect.stringContaining('could not be delivered'),
    })
    expect(event.sender).toBe(GHOST)
    expect((await post({ to: ME, text: 'shorter' })).event.content).toMatchObject({ body: 'shorter' })
    await waitFor(async () => (await harness.messages(THEM)).every(({ status }) => status === 'delivered'))
  })

  test('so is a file that is gone, and one that the homeserver finds too large', async () => {
    const form = (name: string) => {
      const fields = new FormData()
      fields.append('to', ME)
      fields.append('file', new File(['some bytes'], name))
      return fields
    }
    harness.hooks.intercept = request =>
      request.url.includes('upload')
        ? Promise.resolve(Response.json({ errcode: 'M_TOO_LARGE' }, { status: 413 }))
        : null
    const { event } = await post(form('large.bin'))
    expect(event.content).toMatchObject({ msgtype: 'm.notice', body: expect.stringContaining('M_TOO_LARGE') })
    harness.hooks.intercept = null
    expect((await post(form('small.bin'))).event.content).toMatchObject({ msgtype: 'm.file' })
  })

  test('a text', async () => {
    const { event } = await post({ to: ME, text: 'good morning' })
    expect(event).toMatchObject({
      room_id: room,
      sender: GHOST,
      content: { msgtype: 'm.text', body: 'good morning' },
    })
    await waitFor(async () => (await lastOf(THEM)).status === 'delivered')
  })

  test.each([
    ['notice', 'm.notice'],
    ['emote', 'm.emote'],
  ])('%s', async (type, msgtype) => {
    expect((await post({ to: ME, text: 'said', type })).event.content).toMatchObject({
      msgtype,
      body: 'said',
    })
  })

  test.each([
    ['image', 'm.image', 'dot.png', 'image/png'],
    ['video', 'm.video', 'clip.mp4', 'video/mp4'],
    ['audio', 'm.audio', 'song.mp3', 'audio/mpeg'],
    ['file', 'm.file', 'letter.pdf', 'application/pdf'],
  ])('%s by its file alone, with a caption', async (type, msgtype, name, mimetype) => {
    const bytes = picture()
    const form = new FormData()
    form.append('to', ME)
    form.append('text', 'look')
    form.append('file', new File([bytes], name, { type: mimetype }))
    const { event } = await post(form)
    expect(event.content).toMatchObject({
      msgtype,
      body: 'look',
      filename: name,
      info: { mimetype, size: bytes.length },
    })
    expect((await lastOf(THEM)).type).toBe(type)
    expect(await harness.download(String(event.content.url))).toEqual(bytes)
    if (type === 'image')
      expect(event.content.info).toMatchObject({ w: 12, h: 7, 'xyz.amorgan.blurhash': expect.any(String) })
  })

  test('a voice message and a sticker are said to be such', async () => {
    const form = (type: string) => {
      const fields = new FormData()
      fields.append('to', ME)
      fields.append('type', type)
      fields.append('file', new File([picture()], 'x.png', { type: 'image/png' }))
      return fields
    }
    expect((await post(form('voice'))).event.content).toHaveProperty(['org.matrix.msc3245.voice'])
    expect((await post(form('sticker'))).event.type).toBe('m.sticker')
  })

  test('a location', async () => {
    const { event } = await post({ to: ME, location: { latitude: 4.05, longitude: 9.77, name: 'Douala' } })
    expect(event.content).toMatchObject({ msgtype: 'm.location', geo_uri: 'geo:4.05,9.77', body: 'Douala' })
  })

  test('replies, reactions, edits and deletions name the event', async () => {
    const { id, event } = await post({ to: ME, text: 'first' })
    const reply = await post({ to: ME, text: 'second', reply_to: id })
    expect(reply.event.content).toMatchObject({
      'm.relates_to': { 'm.in_reply_to': { event_id: event.event_id } },
    })
    const reaction = await post({ reaction: { message: id, emoji: '🎉' } })
    expect(reaction.event).toMatchObject({
      type: 'm.reaction',
      content: { 'm.relates_to': { rel_type: 'm.annotation', event_id: event.event_id, key: '🎉' } },
    })
    const edit = await post({ edit: id, text: 'first, better' })
    expect(edit.event.content).toMatchObject({
      'm.new_content': { msgtype: 'm.text', body: 'first, better' },
      'm.relates_to': { rel_type: 'm.replace', event_id: event.event_id },
    })
    const deletion = await post({ delete: id })
    expect(deletion.event).toMatchObject({ type: 'm.room.redaction' })
  })

  test('what the linked phone sends by itself comes from its own ghost', async () => {
    const { json } = await harness.api('POST', `api/phones/${ME}/messages`, { to: THEM, text: 'by hand' })
    const event = await eventOf(json.id)
    expect(event).toMatchObject({ room_id: room, sender: `@whatsapp_${ME}:test.example` })
  })

  test('a stranger gets a room of their own', async () => {
    const { json } = await harness.api('POST', 'api/phones/5550123/messages', { to: ME, text: 'new here' })
    const event = await eventOf(json.id)
    expect(event.room_id).not.toBe(room)
    await harness.joined(event.room_id)
  })

  test('between phones that nobody has linked nothing leaves the network', async () => {
    await harness.api('POST', 'api/phones/5550123/messages', { to: THEM, text: 'psst' })
    const count = harness.database.query<{ n: number }, []>('SELECT count(*) AS n FROM sandbox_delivery')
    await waitFor(() => count.get()?.n === 0)
    expect(harness.seen.some(event => event.content.body === 'psst')).toBe(false)
  })
})

describe('echo', () => {
  test('a phone that is not linked reads and answers', async () => {
    const echoing = await harness.room('0987654321')
    const eventId = await harness.send(echoing, { msgtype: 'm.text', body: 'hi' })
    const echo = await harness.event(event => event.content.body === 'echo: hi')
    expect(echo.sender).toBe('@whatsapp_0987654321:test.example')
    await waitFor(() => harness.ephemeral.some(one => JSON.stringify(one).includes(eventId)))
    expect((await harness.messages('0987654321')).map(message => message.text)).toEqual(['hi', 'echo: hi'])
  })

  test('media comes back with its caption', async () => {
    const echoing = await harness.room('0987654321')
    const url = await harness.upload(picture(), 'image/png', 'dot.png')
    await harness.send(echoing, { msgtype: 'm.image', body: 'look at this', filename: 'dot.png', url })
    const echo = await harness.event(event => event.content.body === 'echo: look at this')
    expect(echo.content).toMatchObject({ msgtype: 'm.image', filename: 'dot.png', url })
  })

  describe('to a bot that answers every message', () => {
    const BOT_PHONE = '0987600000'
    let botRoom: string
    let answered: Set<string>

    /** Answers the phone until it says nothing more. @returns the number of answers */
    async function converse(answer: (said: SeenEvent) => Json): Promise<number> {
      let answers = 0
      for (;;) {
        const said = harness.seen.find(
          event =>
            event.room_id === botRoom &&
            event.sender !== USER &&
            event.type === 'm.room.message' &&
            !answered.has(event.event_id),
        )
        if (!said) return answers
        answered.add(said.event_id)
        const eventId = await harness.send(botRoom, answer(said))
        await harness.status(eventId)
        answers++
        const { length } = await harness.messages(BOT_PHONE)
        await waitFor(async () =>
          (await harness.messages(BOT_PHONE)).every(({ status }) => status !== 'pending'),
        )
        await waitFor(() => eventsFromPhone() >= length - ownMessages())
      }
    }
    const eventsFromPhone = () =>
      harness.seen.filter(
        event => event.room_id === botRoom && event.sender !== USER && event.type === 'm.room.message',
      ).length
    const ownMessages = () =>
      harness.seen.filter(
        event => event.room_id === botRoom && event.sender === USER && event.type === 'm.room.message',
      ).length

    beforeAll(async () => {
      botRoom = await harness.room(BOT_PHONE)
      answered = new Set()
    })

    test.each<[string, (said: SeenEvent) => Json, number]>([
      [
        'by quoting it',
        said => ({
          body: `${Math.random()}?`,
          'm.relates_to': { 'm.in_reply_to': { event_id: said.event_id } },
        }),
        2,
      ],
      ['by saying it again', said => ({ body: said.content.body }), 2],
      ['by repeating it in other words', said => ({ body: `You said: ${said.content.body}` }), 2],
      ['always the same', () => ({ body: 'Thank you for your message!' }), 2],
      ['with something new each time', () => ({ body: `It is ${Math.random()} o'clock` }), 9],
    ])('%s, it falls silent', async (_how, answer, most) => {
      const { json } = await harness.api('POST', `api/phones/${BOT_PHONE}/messages`, {
        to: ME,
        text: 'hello bot',
      })
      await waitFor(
        () =>
          harness.database.query('SELECT 1 FROM sandbox_event WHERE message_id = ?').get(json.id) !== null,
      )
      const answers = await converse(said => ({ msgtype: 'm.text', ...answer(said) }))
      expect(answers).toBeWithin(1, most + 1)
    })
  })

  test('a person may say the same again later', async () => {
    const clock = manualClock()
    const later = await createHarness({ clock })
    try {
      await later.link()
      const echoing = await later.room(THEM)
      const echoes = () => later.seen.filter(event => event.content.body === 'echo: hello').length
      await later.send(echoing, { msgtype: 'm.text', body: 'hello' })
      await waitFor(() => echoes() === 1)
      await waitFor(() => later.database.query('SELECT 1 FROM sandbox_delivery').get() === null)
      await clock.advance(11_000)
      await later.send(echoing, { msgtype: 'm.text', body: 'hello' })
      await waitFor(() => echoes() === 2)
    } finally {
      await later.close()
    }
  })

  test('what is said at once, without waiting for echoes, is echoed each', async () => {
    const echoing = await harness.room('0987611111')
    const texts = Array.from({ length: 20 }, (_, index) => `at once ${index}`)
    await Promise.all(texts.map(body => harness.send(echoing, { msgtype: 'm.text', body })))
    await waitFor(async () => (await harness.messages('0987611111')).length === 40)
  })

  test('linked phones echo nothing', async () => {
    await harness.link('447700900123')
    const other = await harness.room('447700900123')
    await harness.send(other, { msgtype: 'm.text', body: 'you there?' })
    const arrived = await harness.event(event => event.content.body === 'you there?' && event.sender !== USER)
    expect(arrived.sender).toBe(`@whatsapp_${ME}:test.example`)
    expect(await harness.messages('447700900123')).toHaveLength(1)
  })
})
