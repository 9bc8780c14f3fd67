/** Cases with a real bridge for any homeserver; each *.test.ts runs them on one kind. */
import { afterAll, beforeAll, describe } from 'bun:test'
import { attachedGateway, type HomeserverKind, hasHomeserver } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { actionCases } from './cases/actions.ts'
import { addressingCases } from './cases/addressing.ts'
import { botDriverCases } from './cases/bot-driver.ts'
import { chatChangeCases } from './cases/chat-changes.ts'
import { chatCases } from './cases/chats.ts'
import { conversationCases } from './cases/conversations.ts'
import { deviceCases } from './cases/devices.ts'
import { featureCases } from './cases/features.ts'
import { groupCases } from './cases/groups.ts'
import { historyCases } from './cases/history.ts'
import { linkingCases } from './cases/linking.ts'
import { loginFlowCases } from './cases/login-flows.ts'
import { movedChatCases } from './cases/moved-chats.ts'
import { otherEventCases } from './cases/other-events.ts'
import { passedOnCases } from './cases/passed-on.ts'
import { receivingCases } from './cases/receiving.ts'
import { restartCases } from './cases/restarts.ts'
import { restrictionCases } from './cases/restrictions.ts'
import { sendingCases } from './cases/sending.ts'
import { PLATFORM, type Setting } from './cases/setting.ts'
import { statusCases } from './cases/statuses.ts'

/** Platform of a second test bridge, without the provisioning API. */
const PLAIN = 'plain'
/** The two bridges need different user names. */
const WITHOUT_PROVISIONING = {
  'provisioning.shared_secret': 'disable',
  'appservice.id': 'plain',
  'appservice.bot.username': 'plainbot',
  'appservice.username_template': 'plain_{{.}}',
}

/** A bridge that doesn't report its logins' states, so the gateway asks; one kind is enough. */
const SILENT = { 'homeserver.status_endpoint': 'null' }

/** Wait for a bridge's status: longer than a slow machine's bridge takes. */
const STATUS_TIMEOUT_MS = '8000'

/** All cases share a deployment: each has its own phones and accounts, and leaves all running. */
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
    describe('features', () => featureCases(current))
    describe('receiving', () => receivingCases(current))
    describe('what isn’t a message', () => otherEventCases(current))
    describe('statuses', () => statusCases(current))
    describe('history', () => historyCases(current, kind))
    describe('moved chats', () => movedChatCases(current))
    describe('chats', () => chatCases(current))
    describe('conversations', () => conversationCases(current))
    describe('what is passed on', () => passedOnCases(current))
    describe('groups', () => groupCases(current))
    describe('changes of chats', () => chatChangeCases(current))
    describe('actions', () => actionCases(current))
    describe('devices', () => deviceCases(current))
    describe('restrictions', () => restrictionCases(current))
    // The embedded homeserver pushes events as Synapse does, so two kinds are enough.
    if (kind !== 'synapse') describe('by its bot', () => botDriverCases(() => started(plain), PLAIN))
    describe('restarts', () => restartCases(current, kind))
  })
}
