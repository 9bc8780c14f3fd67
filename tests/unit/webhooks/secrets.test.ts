/** Secrets of a webhook: rotation with an overlap, more headers, neither stored in clear. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { webhooks } from '../../../src/db/schema/index.ts'
import { createWebhookRepository } from '../../../src/modules/webhooks/webhook-repository.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
  scene.start()
})
afterEach(() => scene.destroy())

const FIRST = 'whsec_c2VjcmV0'
const HOUR_S = 3_600
const row = () => scene.db.orm.select().from(webhooks).get()

/** Secrets that sign a delivery made now. */
async function signing(): Promise<readonly string[]> {
  const before = scene.side.tries.length
  await scene.happens('hello')
  await scene.pass(10)
  return scene.side.tries[before]?.secrets ?? []
}

describe('a new signing secret', () => {
  test('signs together with the old one for a day, then alone', async () => {
    const { secret, old_secret_until: until } = await scene.side.webhooks.rotateSecret('id_1', 1)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(until).toBe('2026-04-28T10:00:00Z')
    expect(await signing()).toEqual([secret, FIRST])
    await scene.clock.advance(24 * HOUR_S * 1_000)
    expect(await signing()).toEqual([secret])
    expect((await scene.side.webhooks.list('id_1'))[0]?.old_secret_until).toBeNull()
  })

  test('for as long as is asked, or at once', async () => {
    const one = await scene.side.webhooks.rotateSecret('id_1', 1, HOUR_S)
    await scene.clock.advance((HOUR_S - 1) * 1_000)
    expect(await signing()).toEqual([one.secret, FIRST])
    const two = await scene.side.webhooks.rotateSecret('id_1', 1, 0)
    expect(two.old_secret_until).toBeNull()
    expect(await signing()).toEqual([two.secret])
    expect(row()?.oldSecretSealed).toBeNull()
  })

  test('is refused while the one before the present one signs: it signs until the time that was told', async () => {
    const one = await scene.side.webhooks.rotateSecret('id_1', 1, HOUR_S)
    await expect(scene.side.webhooks.rotateSecret('id_1', 1)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('signs until 2026-04-27T11:00:00Z (old_secret_until)'),
    })
    expect(await signing()).toEqual([one.secret, FIRST])
    await scene.clock.advance(HOUR_S * 1_000)
    const two = await scene.side.webhooks.rotateSecret('id_1', 1)
    expect(await signing()).toEqual([two.secret, one.secret])
  })

  test('once the overlap is over, nothing is left of the old one', async () => {
    await scene.side.webhooks.rotateSecret('id_1', 1, HOUR_S)
    const repository = createWebhookRepository(scene.db, { maxPerIdentity: 100, health: { reset() {} } })
    await repository.forgetOldSecrets(scene.clock.now())
    expect(row()?.oldSecretSealed).not.toBeNull()
    await scene.clock.advance(HOUR_S * 1_000)
    await repository.forgetOldSecrets(scene.clock.now())
    expect(row()).toMatchObject({ oldSecretSealed: null, oldSecretUntil: null })
  })

  test('is nobody else’s to ask for', async () => {
    await expect(scene.side.webhooks.rotateSecret('id_2', 1)).rejects.toMatchObject({ code: 'not_found' })
    expect(await signing()).toEqual([FIRST])
  })
})

describe('further headers', () => {
  const HEADERS = { Authorization: 'Bearer s3cret', 'X-Tenant': 'a b' }

  test('go with each request; their names are shown, their values nowhere', async () => {
    const made = await scene.side.webhooks.create('id_1', { url: 'http://hook/2', headers: HEADERS })
    expect(made.header_names).toEqual(['Authorization', 'X-Tenant'])
    await signing()
    expect(scene.side.tries.map(({ url, headers }) => [url, headers]).sort()).toEqual([
      ['http://hook/1', {}],
      ['http://hook/2', HEADERS],
    ])
    const everything = scene.db.connection.query('SELECT * FROM webhooks').all()
    expect(JSON.stringify([made, everything])).not.toMatch(/s3cret|c2VjcmV0/)
  })

  test('are replaced as a whole, kept when nothing is said, and gone with null', async () => {
    const { webhooks: of } = scene.side
    await of.update('id_1', 1, { headers: HEADERS })
    expect((await of.update('id_1', 1, { active: true })).header_names).toEqual(['Authorization', 'X-Tenant'])
    expect((await of.update('id_1', 1, { headers: { 'X-Other': '1' } })).header_names).toEqual(['X-Other'])
    expect((await of.update('id_1', 1, { headers: null })).header_names).toEqual([])
    expect(row()?.headersSealed).toBeNull()
  })

  test.each<[Record<string, string>, string]>([
    [{ Host: 'x' }, 'headers.Host: expected another name'],
    [{ 'content-length': '1' }, 'headers.content-length: expected another name'],
    [{ 'Content-Type': 'text/plain' }, 'headers.Content-Type: expected another name'],
    [{ 'Transfer-Encoding': 'chunked' }, 'headers.Transfer-Encoding: expected another name'],
    [{ 'Webhook-Signature': 'v1,x' }, 'headers.Webhook-Signature: expected another name'],
    [{ 'proxy-authorization': 'x' }, 'headers.proxy-authorization: expected another name'],
    [{ 'X-A': '1', 'x-a': '2' }, 'headers.x-a: expected each name once'],
    [{ 'X A': '1' }, 'headers: expected names of letters'],
    [{ '': '1' }, 'headers: expected names of letters'],
    [{ 'X-A:': '1' }, 'headers: expected names of letters'],
    [{ 'X-A': '' }, 'headers.X-A: expected 1 to 1024 printable ASCII characters'],
    [{ 'X-A': 'a\r\nHost: evil' }, 'headers.X-A: expected 1 to 1024 printable'],
    [{ 'X-A': ' a' }, 'headers.X-A: expected 1 to 1024 printable'],
    [{ 'X-A': 'é' }, 'headers.X-A: expected 1 to 1024 printable'],
    [{ 'X-A': 'a'.repeat(1_025) }, 'headers.X-A: expected 1 to 1024 printable'],
    [Object.fromEntries([...Array(21).keys()].map(n => [`X-${n}`, '1'])), 'headers: expected at most 20'],
    [
      Object.fromEntries([...Array(5).keys()].map(n => [`X-${n}`, 'a'.repeat(1_000)])),
      'headers: expected at most 4096 characters in all',
    ],
  ])('%j is refused', async (headers, message) => {
    const refusal = { code: 'bad_request', message: expect.stringContaining(message) }
    const { webhooks: of } = scene.side
    await expect(of.create('id_1', { url: 'http://new', headers })).rejects.toMatchObject(refusal)
    await expect(of.update('id_1', 1, { url: 'http://new', headers })).rejects.toMatchObject(refusal)
    expect((await of.list('id_1')).map(({ url }) => url)).toEqual(['http://hook/1'])
  })
})
