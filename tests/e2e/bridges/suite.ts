/** The cases that must hold with a real bridge, whatever the homeserver: each file beside this one runs them on one kind. */
import { afterAll, beforeAll, describe } from 'bun:test'
import { attachedGateway, type HomeserverKind, hasHomeserver } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { addressingCases } from './cases/addressing.ts'
import { deviceCases } from './cases/devices.ts'
import { linkingCases } from './cases/linking.ts'
import { loginFlowCases } from './cases/login-flows.ts'
import { receivingCases } from './cases/receiving.ts'
import { restartCases } from './cases/restarts.ts'
import { sendingCases } from './cases/sending.ts'
import type { Setting } from './cases/setting.ts'
import { statusCases } from './cases/statuses.ts'

/** One deployment serves all cases: each has phones and accounts of its own, and leaves everything running. */
export function bridgeSuite(kind: HomeserverKind): void {
  describe.skipIf(!testBridge || !hasHomeserver(kind))(`with a bridge on ${kind}`, () => {
    let setting: Setting | undefined

    beforeAll(async () => {
      const deployment = await attachedGateway(kind, { wa: { program: testBridge ?? '' } })
      setting = { deployment, testnet: new Testnet(deployment.bridge('wa').controlUrl) }
    })

    afterAll(async () => setting?.deployment[Symbol.asyncDispose]())

    const current = () => {
      if (!setting) throw new Error('the deployment did not start')
      return setting
    }
    describe('linking', () => linkingCases(current))
    describe('login flows', () => loginFlowCases(current))
    describe('addressing', () => addressingCases(current))
    describe('sending', () => sendingCases(current))
    describe('receiving', () => receivingCases(current))
    describe('statuses', () => statusCases(current))
    describe('devices', () => deviceCases(current))
    describe('restarts', () => restartCases(current, kind))
  })
}
