/**
 * Restarts of bridges that open their port seconds before they load their logins. Somebody who asks
 * about a user too early makes the bridge leave out that user's logins until its next restart; no
 * device may be lost, and no message lost or repeated.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { attachedGateway, type Deployment } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type LinkedUser, linkedUser } from './cases/setting.ts'

setDefaultTimeout(120_000)

const SLOW = { 'network.start_delay_ms': '2000' }
/** Bridges on one homeserver need different user names. */
const named = (name: string) => ({
  'appservice.id': name,
  'appservice.bot.username': `${name}bot`,
  'appservice.username_template': `${name}_{{.}}`,
})
/** Longer than the gateway waits for a bridge without reports. */
const DEADLINE_MS = 30_000

describe.skipIf(!testBridge)('a bridge that loads its logins late', () => {
  let deployment: Deployment

  beforeAll(async () => {
    const program = testBridge ?? ''
    deployment = await attachedGateway('embedded', {
      telling: { program, settings: { ...SLOW, ...named('telling') } },
      silent: { program, settings: { ...SLOW, ...named('silent'), 'homeserver.status_endpoint': 'null' } },
    })
  })
  afterAll(async () => deployment?.[Symbol.asyncDispose]())

  const settingOf = (platform: string) => ({
    deployment,
    testnet: new Testnet(deployment.bridge(platform).controlUrl),
  })
  const only = async ({ account }: LinkedUser) => (await account.devices()).at(0)
  const untilConnected = (user: LinkedUser) =>
    waitFor(async () => (await only(user))?.state === 'connected', { deadlineMs: DEADLINE_MS })

  /** Restarts of parts of the deployment, by name. */
  const restarts: Record<string, (platform: string) => Promise<void>> = {
    async 'the bridge is restarted'(platform) {
      await deployment.bridge(platform).kill()
      await deployment.bridge(platform).start()
    },
    async 'the bridge is restarted twice within its start'(platform) {
      for (let time = 0; time < 2; time++) await restarts['the bridge is restarted']?.(platform)
    },
    async 'gateway and bridge are restarted together'(platform) {
      const bridge = deployment.bridge(platform)
      await Promise.all([bridge.kill(), deployment.gateway.kill()])
      await Promise.all([bridge.start(), deployment.gateway.start()])
    },
    async 'the gateway is restarted while the bridge starts'(platform) {
      await restarts['the bridge is restarted']?.(platform)
      await deployment.gateway.kill()
      await deployment.gateway.start()
    },
  }
  const cases = Object.keys(restarts).map((name): [string, string] => ['telling', name])

  // A bridge without reports takes ten seconds for each start, so one case must do.
  test.each([...cases, ['silent', 'the bridge is restarted twice within its start']])(
    '%s: %s',
    async (platform, name) => {
      await using user = await linkedUser(settingOf(platform), {}, platform)
      const friend = await settingOf(platform).testnet.newPhone()
      const send = (text: string) =>
        user.account.send(user.device, { contact: friend.number, text, platform })
      await send('before')
      await friend.waitForText('before')
      const before = await only(user)

      await restarts[name]?.(platform)
      // Sent while the bridge loads: into an existing chat, and into a new one.
      const stranger = await settingOf(platform).testnet.newPhone()
      await send('meanwhile')
      await user.account.send(user.device, { contact: stranger.number, text: 'nice to meet you', platform })
      expect(await only(user)).toMatchObject({ device_id: user.device, linked_at: before?.linked_at })
      const link = await user.account.api.post('/api/v1/devices', { platform })
      expect(link.status).toBe(201)

      await untilConnected(user)
      await friend.waitForText('meanwhile')
      await stranger.waitForText('nice to meet you')
      await friend.send({ to: user.phone.id, text: 'hello again' })
      expect(await user.inbox.next()).toMatchObject({ message: 'hello again' })
      expect(await friend.receivedTexts()).toEqual(['before', 'meanwhile'])
      expect(await user.account.devices()).toMatchObject([
        { state: 'connected', linked_at: before?.linked_at },
      ])
    },
  )
})
