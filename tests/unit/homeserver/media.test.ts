/** Uploads and downloads. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HomeserverRows } from '../../support/homeserver-rows.ts'
import { SERVER, serverWith, TestServer } from './harness.ts'

const AUTH = { authorization: 'Bearer as_gw' }
const SIGNAL = new AbortController().signal
const MIB = 1024 * 1024

let server: TestServer
beforeAll(async () => {
  server = await serverWith('gw_alice', 'gw_roomless')
})
afterAll(() => server.close())

/** Marks all events as received by the application services. */
function acknowledge(): void {
  server.db.run('UPDATE hs_appservices SET position = (SELECT max(stream_id) FROM hs_events)')
}

function pieces(content: Buffer, size = 65_536): ReadableStream<Uint8Array> {
  let offset = 0
  return new ReadableStream({
    pull(controller) {
      if (offset >= content.length) return controller.close()
      controller.enqueue(content.subarray(offset, offset + size))
      offset += size
    },
  })
}

async function upload(
  body: string | Buffer | ReadableStream<Uint8Array>,
  type = 'image/png',
  query = '',
): Promise<string> {
  const response = await server.raw('POST', `/_matrix/media/v3/upload${query}`, {
    headers: { ...AUTH, 'content-type': type },
    body,
  })
  expect(response.status).toBe(200)
  const { content_uri: uri } = (await response.json()) as { content_uri: string }
  return uri.slice('mxc://'.length)
}

test('a streamed file comes back as it was, with safe headers', async () => {
  const content = randomBytes(5 * MIB)
  const id = await upload(pieces(content), 'image/png', '?filename=caf%C3%A9.png')
  const response = await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })
  expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true)
  expect(response.headers.get('content-type')).toBe('image/png')
  expect(response.headers.get('content-disposition')).toBe("inline; filename*=utf-8''caf%C3%A9.png")
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(response.headers.get('content-security-policy')).toContain('sandbox')
  const named = await server.raw('GET', `/_matrix/client/v1/media/download/${id}/other.png`, {
    headers: AUTH,
  })
  expect(named.headers.get('content-disposition')).toBe('inline; filename=other.png')
  const thumbnail = await server.raw('GET', `/_matrix/client/v1/media/thumbnail/${id}?width=10&height=10`, {
    headers: AUTH,
  })
  expect(thumbnail.status).toBe(200)
})

test('a file of the disk is taken, and what a browser could run is not shown inline', async () => {
  const path = join(server.dir, 'page.html')
  await Bun.write(path, '<script>alert(1)</script>')
  const id = await upload(Bun.file(path).stream(), 'text/html; charset=utf-8')
  const response = await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })
  expect(await response.text()).toBe('<script>alert(1)</script>')
  expect(response.headers.get('content-disposition')).toBe('attachment')
})

test('a file is limited, also when it does not say its length, and leaves nothing behind', async () => {
  const small = new TestServer(MIB)
  await small.appservice('gw')
  for (const body of [pieces(randomBytes(MIB + 1)), randomBytes(MIB + 1)]) {
    const response = await small.raw('POST', '/_matrix/media/v3/upload', { headers: AUTH, body })
    expect([response.status, ((await response.json()) as { errcode: string }).errcode]).toEqual([
      413,
      'M_TOO_LARGE',
    ])
  }
  expect(readdirSync(join(small.dir, 'media'))).toEqual([])
  for (const path of ['/_matrix/media/v3/config', '/_matrix/client/v1/media/config'])
    expect((await small.call('GET', path)).body).toEqual({ 'm.upload.size': MIB })
  await small.close()
})

test('nobody without an account gets anything', async () => {
  const id = await upload('secret', 'text/plain')
  const legacy = `/_matrix/media/v3/download/${id}`
  const answer = await server.call('GET', legacy, undefined, { token: null })
  expect([answer.status, answer.get('errcode')]).toEqual([404, 'M_NOT_FOUND'])
  expect((await server.raw('GET', `/_matrix/client/v1/media/download/${id}`)).status).toBe(401)
  expect(await (await server.raw('GET', legacy, { headers: AUTH })).text()).toBe('secret')
  for (const wrong of ['hs.test/nothing', 'elsewhere.test/x', 'hs.test/..%2F..%2Fetc%2Fpasswd'])
    expect(
      (await server.raw('GET', `/_matrix/client/v1/media/download/${wrong}`, { headers: AUTH })).status,
    ).toBe(404)
})

test('an upload can be reserved first', async () => {
  const created = await server.call('POST', '/_matrix/media/v1/create', {})
  const id = created.text('content_uri').slice('mxc://'.length)
  const early = await server.call('GET', `/_matrix/client/v1/media/download/${id}`)
  expect([early.status, early.get('errcode')]).toEqual([504, 'M_NOT_YET_UPLOADED'])
  const put = (as?: string) =>
    server.raw('PUT', `/_matrix/media/v3/upload/${id}${as ? `?user_id=${as}` : ''}`, {
      headers: AUTH,
      body: 'late',
    })
  expect((await put('@gw_alice:hs.test')).status).toBe(403)
  expect((await put()).status).toBe(200)
  expect((await put()).status).toBe(409)
  const response = await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })
  expect(await response.text()).toBe('late')
})

test('an upload whose row the disk does not take leaves no file', async () => {
  const files = () => readdirSync(join(server.dir, 'media'))
  await upload('there')
  const before = files()
  server.db.run("CREATE TRIGGER full BEFORE INSERT ON hs_media BEGIN SELECT raise(ABORT, 'no space'); END")
  const refused = await server.raw('POST', '/_matrix/media/v3/upload', { headers: AUTH, body: 'lost' })
  server.db.run('DROP TRIGGER full')
  expect([refused.status, files()]).toEqual([500, before])
})

test('a reserved upload that is sent twice at once has the content of the one that was taken', async () => {
  const created = await server.call('POST', '/_matrix/media/v1/create', {})
  const id = created.text('content_uri').slice('mxc://'.length)
  const put = async (body: string) => {
    const answer = await server.raw('PUT', `/_matrix/media/v3/upload/${id}`, { headers: AUTH, body })
    return { body, status: answer.status }
  }
  const puts = await Promise.all(['one', 'other', 'a third'].map(put))
  const taken = puts.filter(({ status }) => status === 200)
  const response = await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })
  expect([await response.text()]).toEqual(taken.map(({ body }) => body))
})

test('what a kill left behind goes at the start: uploads that were cut off, and files that nobody was told of', async () => {
  const kept = (await upload('content')).split('/')[1] ?? ''
  const folder = join(server.dir, 'media')
  writeFileSync(join(folder, 'orphan'), 'x')
  writeFileSync(join(folder, `${kept}.tmp`), 'x')
  await server.hs.sweep()
  const names = readdirSync(folder)
  expect(names).toContain(kept)
  expect(names).not.toContain('orphan')
  expect(names).not.toContain(`${kept}.tmp`)
})

test('what is old goes, but for what profiles and rooms show', async () => {
  const [old, avatar, roomAvatar] = [await upload('old'), await upload('avatar'), await upload('room')]
  const profile = `/profile/@gw_roomless:${SERVER}/avatar_url`
  await server.call('PUT', profile, { avatar_url: `mxc://${avatar}` }, { as: 'gw_roomless' })
  await server.room('gw_alice', [], {
    initial_state: [{ type: 'm.room.avatar', state_key: '', content: { url: `mxc://${roomAvatar}` } }],
  })
  acknowledge()
  const before = Date.now() + 1
  server.db.run('UPDATE hs_media SET created_at = 1')
  const young = await upload('young')
  server.db.run('UPDATE hs_media SET created_at = ? WHERE media_id = ?', [before, young.split('/')[1] ?? ''])
  expect(await server.hs.forgetMedia(before, SIGNAL)).toBeGreaterThan(0)
  const status = async (id: string) =>
    (await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })).status
  expect([await status(old), await status(avatar), await status(roomAvatar), await status(young)]).toEqual([
    404, 200, 200, 200,
  ])
  expect(readdirSync(join(server.dir, 'media'))).not.toContain(old.split('/')[1])
})

test('old media that a young event names stays, as does what an application service has not been told of', async () => {
  const [sticker, unheard, said] = [await upload('sticker'), await upload('unheard'), await upload('said')]
  const roomId = await server.room('gw_alice')
  const send = async (id: string) => {
    const content = { body: 'x', info: { thumbnail_file: { url: `mxc://${id}` } } }
    const path = `/rooms/${encodeURIComponent(roomId)}/send/m.sticker/${encodeURIComponent(id)}`
    return (await server.call('PUT', path, content, { as: 'gw_alice' })).text('event_id')
  }
  /** Makes an event as old as possible: its id holds its time, too. */
  const age = (eventId: string) =>
    server.db.run(
      "UPDATE hs_events SET origin_server_ts = 1, event_id = '$old' || stream_id WHERE event_id = ?",
      [eventId],
    )
  age(await send(said))
  acknowledge()
  age(await send(unheard))
  const before = Date.now() - 60_000
  await send(sticker)
  server.db.run('UPDATE hs_media SET created_at = 1')
  await server.hs.forgetMedia(before, SIGNAL)
  const status = async (id: string) =>
    (await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })).status
  expect([await status(sticker), await status(unheard), await status(said)]).toEqual([200, 200, 404])
})

test('media that an event names while old media is looked through stays', async () => {
  const id = await upload('again')
  const rows = new HomeserverRows(server.db, SERVER)
  const { room } = rows.newRoom(['gw_alice'])
  server.db.run('UPDATE hs_media SET created_at = 1')
  const forgetting = server.hs.forgetMedia(Date.now() - 60_000, SIGNAL)
  // By then the server has read the events in this turn; it removes media in a later one.
  for (let microtask = 0; microtask < 100; microtask++) await null
  const content = { body: 'x', url: `mxc://${id}` }
  rows.event({ room, type: 'm.sticker', sender: rows.userId('gw_alice'), content, at: Date.now() })
  await forgetting
  const answer = await server.raw('GET', `/_matrix/client/v1/media/download/${id}`, { headers: AUTH })
  expect(answer.status).toBe(200)
})
