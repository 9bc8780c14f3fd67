/** The gateway runs real mautrix-whatsapps without a way to WhatsApp, and must say so at once. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import {
  attachedGateway,
  type Deployment,
  HOMESERVER_KINDS,
  type HomeserverKind,
  hasHomeserver,
} from '../../support/attached-gateway.ts'
import { whatsappBridges } from '../../support/bridge-program.ts'

setDefaultTimeout(120_000)

/** Users learn within this time that the network is out of reach, in milliseconds. */
const NOTICE_MS = 5_000
/** Keeps WhatsApp out of reach: nobody listens on that port. */
const NO_PROXY_THERE = 'http://127.0.0.1:9'

/** The bridge's words for a login that failed for reasons of its own. */
const WORDS = { oldest: 'Internal error submitting input', current: 'Internal error in login step' }

describe.each(HOMESERVER_KINDS)('on %s', kind => {
  for (const [version, program] of Object.entries(whatsappBridges))
    describe.skipIf(!program || !hasHomeserver(kind))(`the ${version} mautrix-whatsapp`, () =>
      whatsappCases(kind, program ?? '', WORDS[version as keyof typeof WORDS]),
    )
})

function whatsappCases(kind: HomeserverKind, program: string, words: string): void {
  let deployment: Deployment

  beforeAll(async () => {
    const settings = { 'network.proxy': NO_PROXY_THERE }
    const wa = { program, settings, supervised: true }
    deployment = await attachedGateway(kind, { wa })
  })

  afterAll(() => deployment?.[Symbol.asyncDispose]())

  test('its login flows are known', async () => {
    const account = await deployment.client.account()
    const answer = await account.api.post<{ error: string }>('/api/v1/devices', {
      platform: 'wa',
      flow: 'carrier pigeon',
    })
    expect(answer.status).toBe(400)
    expect(answer.body.error).toContain('expected one of qr, phone')
  })

  test('it is set to tell what has events of its own', () => {
    const { network } = parse(readFileSync(deployment.bridge('wa').configFile, 'utf8'))
    expect(network).toMatchObject({
      extev_polls: true,
      call_start_notices: true,
      enable_status_broadcast: true,
    })
  })

  test('a login that needs the network says at once that it failed', async () => {
    const account = await deployment.client.account()
    const startedAt = performance.now()
    const answer = await account.api.post<{ error: string; code: string }>('/api/v1/devices', {
      platform: 'wa',
    })
    expect(performance.now() - startedAt).toBeLessThan(NOTICE_MS)
    expect(answer.status).toBe(503)
    expect(answer.body).toMatchObject({ code: 'bridge_unavailable' })
    expect(answer.body.error).toContain("can't reach its network")
    await using socket = account.watchLink()
    const { code, reason } = await socket.closed
    expect(performance.now() - startedAt).toBeLessThan(NOTICE_MS)
    expect({ code, reason }).toMatchObject({
      code: 4500,
      reason: expect.stringContaining("can't reach its network"),
    })
  })

  test('a login by pairing code fails with the bridge’s words, once it has the number', async () => {
    const account = await deployment.client.account()
    const begun = await account.api.post<{ link: { id: string } }>('/api/v1/devices', {
      platform: 'wa',
      flow: 'phone',
    })
    expect(begun).toMatchObject({ status: 201, body: { link: { state: 'waiting_for_input' } } })
    const startedAt = performance.now()
    const inputs = { phone_number: '+237612345678' }
    const answer = await account.api.post(`/api/v1/devices/links/${begun.body.link.id}`, { inputs })
    expect(performance.now() - startedAt).toBeLessThan(NOTICE_MS)
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: 'bad_request',
        error: expect.stringContaining(`network is out of reach: ${words}`),
      },
    })
  })
}
