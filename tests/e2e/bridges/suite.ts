/** The cases that must hold with a real bridge, whatever the homeserver: each file beside this one runs them on one kind. */
import { afterAll, beforeAll, describe } from 'bun:test'
import { attachedGateway, type HomeserverKind, hasHomeserver } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { addressingCases } from './cases/addressing.ts'
import { botDriverCases } from './cases/bot-driver.ts'
import { deviceCases } from './cases/devices.ts'
import { linkingCases } from './cases/linking.ts'
import { loginFlowCases } from './cases/login-flows.ts'
import { receivingCases } from './cases/receiving.ts'
import { restartCases } from './cases/restarts.ts'
import { sendingCases } from './cases/sending.ts'
import { PLATFORM, type Setting } from './cases/setting.ts'
import { statusCases } from './cases/statuses.ts'

/** The platform of a second test bridge, without the provisioning API. */
const PLAIN = 'plain'
/** Its users must have other names than those of the first. */
const WITHOUT_PROVISIONING = {
  'provisioning.shared_secret': 'disable',
  'appservice.id': 'plain',
  'appservice.bot.username': 'plainbot',
  'appservice.username_template': 'plain_{{.}}',
}

/** A bridge that doesn't report its logins' states, and so has to be asked; of the kinds one is enough. */
const SILENT = { 'homeserver.status_endpoint': 'null' }

/** How long a message without a word of the bridge counts as on its way: more than a slow machine takes for that word. */
const STATUS_TIMEOUT_MS = '8000'

/** One deployment serves all cases: each has phones and accounts of its own, and leaves everything running. */
export function bridgeSuite(kind: HomeserverKind): void {
  describe.skipIf(!testBridge || !hasHomeserver(kind))(`with a bridge on ${kind}`, () => {
    let setting: Setting | undefined
    let plain: Setting | undefined

    beforeAll(async () => {
      const program = testBridge ?? ''
      const settings = kind === 'synapse' ? SILENT : {}
      const bridges = {
        [PLATFORM]: { program, settings },
        ...(kind === 'synapse' ? {} : { [PLAIN]: { program, settings: WITHOUT_PROVISIONING } }),
      }
      const deployment = await attachedGateway(kind, bridges, { env: { STATUS_TIMEOUT_MS } })
      const settingOf = (platform: string) => ({
        deployment,
        testnet: new Testnet(deployment.bridge(platform).controlUrl),
      })
      setting = settingOf(PLATFORM)
      if (kind !== 'synapse') plain = settingOf(PLAIN)
    })

    afterAll(async () => setting?.deployment[Symbol.asyncDispose]())

    const started = (one: Setting | undefined) => {
      if (!one) throw new Error('the deployment did not start')
      return one
    }
    const current = () => started(setting)
    describe('linking', () => linkingCases(current))
    describe('login flows', () => loginFlowCases(current))
    describe('addressing', () => addressingCases(current))
    describe('sending', () => sendingCases(current))
    describe('receiving', () => receivingCases(current))
    describe('statuses', () => statusCases(current))
    describe('devices', () => deviceCases(current))
    // Events are pushed by the embedded homeserver as by Synapse; a /sync is the other way.
    if (kind !== 'synapse') describe('by its bot', () => botDriverCases(() => started(plain), PLAIN))
    describe('restarts', () => restartCases(current, kind))
  })
}
