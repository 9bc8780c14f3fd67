/** Files of many kinds, sent to a phone whose network takes only some of them as they are. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { FILES } from '../support/file-heads.ts'
import { type Account, formWith, type GatewayClient, type Phone } from '../support/gateway-client.ts'
import { RECORDING } from '../support/recording.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient
let account: Account
let device: string
let friend: Phone

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
  ;({ account, device } = await client.linkedAccount())
  friend = await client.newPhone()
})
afterAll(() => gateway[Symbol.asyncDispose]())

let sends = 0
/** Sends a file. @returns what the phone shows */
async function shown(file: { kind: keyof typeof FILES; extension: string; type?: string }) {
  const name = `file-${++sends}.${file.extension}`
  const form = formWith(
    { contact: friend.number, platform: 'wa' },
    { name, type: file.type ?? '', content: FILES[file.kind] },
  )
  await account.send(device, form)
  const message = await friend.waitForMessage(({ file }) => file?.name === name)
  return [message.type, message.file?.mime_type]
}

describe('what a network takes as such comes as that, and anything else as a file', () => {
  test.each<[keyof typeof FILES, string, string, string]>([
    ['jpeg', 'jpg', 'image', 'image/jpeg'],
    ['webp', 'webp', 'image', 'image/webp'],
    ['heic', 'heic', 'file', 'image/heic'],
    ['tiff', 'tif', 'file', 'image/tiff'],
    ['svg', 'svg', 'file', 'image/svg+xml'],
    ['mp3', 'mp3', 'audio', 'audio/mpeg'],
    ['m4a', 'm4a', 'audio', 'audio/mp4'],
    ['wav', 'wav', 'file', 'audio/wav'],
    ['flac', 'flac', 'file', 'audio/flac'],
    ['mp4', 'mp4', 'video', 'video/mp4'],
    ['mkv', 'mkv', 'file', 'video/matroska'],
    ['pdf', 'pdf', 'file', 'application/pdf'],
  ])('%s', async (kind, extension, type, mimeType) => {
    expect(await shown({ kind, extension })).toEqual([type, mimeType])
  })
})

test.each<[string, keyof typeof FILES, string, string, string, string]>([
  ['a photo of an iPhone, called otherwise', 'heic', 'jpg', 'image/jpeg', 'file', 'image/heic'],
  ['an alias', 'jpeg', 'jpg', 'image/jpg', 'image', 'image/jpeg'],
  ['another', 'm4a', 'm4a', 'audio/x-m4a', 'audio', 'audio/mp4'],
  ['nonsense', 'mp3', 'mp3', 'nonsense', 'audio', 'audio/mpeg'],
])('%s is sent as what it is', async (_what, kind, extension, declared, type, mimeType) => {
  expect(await shown({ kind, extension, type: declared })).toEqual([type, mimeType])
})

describe('a recording', () => {
  const send = (name: string, fields: Record<string, string> = {}) =>
    account.send(
      device,
      formWith(
        { contact: friend.number, platform: 'wa', ...fields },
        { name, type: 'application/ogg', content: RECORDING },
      ),
    )

  test('is a voice message, as long as it is', async () => {
    await send('note.ogg')
    const message = await friend.waitForMessage(({ file }) => file?.name === 'note.ogg')
    expect(message).toMatchObject({
      type: 'voice',
      file: { mime_type: 'audio/ogg; codecs=opus', size: RECORDING.length, duration_ms: 2_000 },
    })
  })

  test('has its text behind it, as the network would drop it; to the API they are one message', async () => {
    const phone = await client.newPhone()
    const [sent] = await send('note.opus', { contact: phone.number, text: 'listen to this' })
    await account.send(device, { contact: phone.number, text: 'and then?' })
    await phone.waitForText('and then?')
    expect((await phone.received()).map(({ type, text }) => [type, text])).toEqual([
      ['voice', ''],
      ['text', 'listen to this'],
      ['text', 'and then?'],
    ])
    expect(await account.waitForStatus(sent?.id ?? '', ['delivered'])).toMatchObject({ reason: null })
    const listed = await account.api.get<{ to: string }[]>('/api/v1/messages')
    expect(listed.body.filter(({ to }) => to === phone.number)).toHaveLength(2)
  })
})

test('a part without a Content-Type, as most clients of one language send it, is known by its content and name', async () => {
  const parts = { contact: friend.number, platform: 'wa' }
  const head = Object.entries(parts).map(
    ([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const file = '--b\r\nContent-Disposition: form-data; name="file"; filename="bare.png"\r\n\r\n'
  const body = Buffer.concat([Buffer.from(head.join('') + file), FILES.png, Buffer.from('\r\n--b--\r\n')])
  const answer = await fetch(`${gateway.url}/api/v1/devices/${device}/message`, {
    method: 'POST',
    headers: { authorization: `Bearer ${account.token}`, 'content-type': 'multipart/form-data; boundary=b' },
    body,
  })
  expect(answer.status).toBe(200)
  const message = await friend.waitForMessage(({ file }) => file?.name === 'bare.png')
  expect(message).toMatchObject({ type: 'image', file: { mime_type: 'image/png' } })
})
