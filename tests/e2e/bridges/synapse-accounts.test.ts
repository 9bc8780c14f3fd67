/** Synapse revokes the gateway's access tokens and limits its accounts' rates. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { attachedGateway, type Deployment, hasHomeserver } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { linkedUser, PLATFORM, type Setting } from './cases/setting.ts'

setDefaultTimeout(120_000)

/** Each account may send three messages at once, then one every half second. */
const MESSAGE_LIMIT = { per_second: 2, burst_count: 3 }

describe.skipIf(!testBridge || !hasHomeserver('synapse-sync'))('accounts at Synapse', () => {
  let deployment: Deployment
  let setting: Setting

  beforeAll(async () => {
    const bridges = { [PLATFORM]: { program: testBridge ?? '' } }
    deployment = await attachedGateway('synapse-sync', bridges, { rateLimits: { rc_message: MESSAGE_LIMIT } })
    setting = { deployment, testnet: new Testnet(deployment.bridge(PLATFORM).controlUrl) }
  })

  afterAll(() => deployment?.[Symbol.asyncDispose]())

  test('messages beyond its rate limit arrive all the same, once and in order', async () => {
    await using user = await linkedUser(setting)
    const friend = await setting.testnet.newPhone()
    const texts = Array.from({ length: 10 }, (_, index) => `number ${index}`)
    for (const text of texts) await user.account.send(user.device, { contact: friend.number, text })
    await friend.waitForText('number 9')
    expect(await friend.receivedTexts()).toEqual(texts)
  })

  test('an access token that was revoked is replaced, and nothing is missed or repeated', async () => {
    await using user = await linkedUser(setting)
    const friend = await setting.testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'before' })
    const { to } = await user.inbox.next()
    await revokeTokens(deployment, to)
    await friend.send({ to: user.phone.id, text: 'meanwhile' })
    expect(await user.inbox.next()).toMatchObject({ message: 'meanwhile' })
    await user.account.send(user.device, { contact: friend.number, text: 'still here' })
    await friend.waitForText('still here')
    await revokeTokens(deployment, to)
    await deployment.gateway.kill()
    await friend.send({ to: user.phone.id, text: 'while nobody was there' })
    await deployment.gateway.start()
    await friend.send({ to: user.phone.id, text: 'after' })
    expect((await user.inbox.take(2)).map(({ message }) => message)).toEqual([
      'while nobody was there',
      'after',
    ])
    expect(user.inbox.unread).toBe(0)
  })
})

/** Logs the user out everywhere, as an admin. */
async function revokeTokens({ synapse }: Deployment, userId: string): Promise<void> {
  const admin = await synapse?.admin()
  const path = `/_synapse/admin/v2/users/${encodeURIComponent(userId)}`
  const answer = await admin?.get<{ devices: { device_id: string }[] }>(`${path}/devices`)
  const devices = answer?.body.devices.map(({ device_id }) => device_id) ?? []
  expect(devices.length).toBeGreaterThan(0)
  const deleted = await admin?.post(`${path}/delete_devices`, { devices })
  expect(deleted?.status).toBe(200)
}
