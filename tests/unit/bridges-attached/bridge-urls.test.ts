/** By which address a bridge reaches the homeserver and the gateway. */
import { describe, expect, test } from 'bun:test'
import {
  addressesForBridge,
  addressTrouble,
  type Whereabouts,
} from '../../../src/modules/bridges-attached/bridge-urls.ts'

const HERE = 'http://127.0.0.1:29318'
const ELSEWHERE = 'http://whatsapp:29318'

function config(
  bridgeListener: Partial<Whereabouts['bridgeListener']> = {},
  homeserverUrl?: string,
): Whereabouts {
  return {
    http: { port: 8080, publicUrl: 'https://gw.org' },
    bridgeListener: { host: '127.0.0.1', port: 8081, ...bridgeListener },
    matrix: { homeserverUrl },
  }
}

describe('with the embedded homeserver', () => {
  test.each<[string, Whereabouts, string]>([
    ['on this machine', config(), 'http://127.0.0.1:8081'],
    ['listening everywhere', config({ host: '0.0.0.0' }), 'http://127.0.0.1:8081'],
    ['listening everywhere on IPv6', config({ host: '::' }), 'http://[::1]:8081'],
    ['listening on one address', config({ host: '10.0.0.7' }), 'http://10.0.0.7:8081'],
    ['on any port that is free', config({ port: 0 }), 'http://127.0.0.1:0'],
  ])('%s', (_, settings, address) => {
    expect(addressesForBridge(settings, HERE, {})).toEqual({ homeserver: address, gateway: address })
  })

  test('elsewhere: by what is said, or by the one address on which bridges are served', () => {
    expect(addressesForBridge(config({ host: '10.0.0.7' }), ELSEWHERE, {}).homeserver).toBe(
      'http://10.0.0.7:8081',
    )
    const said = { homeserverUrl: 'http://meshgate:8081' }
    expect(addressesForBridge(config(), ELSEWHERE, said)).toEqual({
      homeserver: 'http://meshgate:8081',
      gateway: 'http://meshgate:8081',
    })
  })

  test.each([config(), config({ host: '0.0.0.0' })])('elsewhere, with nothing said, is refused', settings => {
    expect(() => addressesForBridge(settings, ELSEWHERE, {})).toThrow('--homeserver-url: ')
  })
})

test('with an external homeserver: that, and for reports the gateway where it can be told', () => {
  const external = config({}, 'http://synapse:8008')
  expect(addressesForBridge(external, HERE, {})).toEqual({
    homeserver: 'http://synapse:8008',
    gateway: 'http://127.0.0.1:8081',
  })
  expect(addressesForBridge(external, ELSEWHERE, {})).toEqual({
    homeserver: 'http://synapse:8008',
    gateway: null,
  })
  const said = { homeserverUrl: 'http://hs:8008', gatewayUrl: 'http://meshgate:8081' }
  expect(addressesForBridge(external, ELSEWHERE, said)).toEqual({
    homeserver: 'http://hs:8008',
    gateway: 'http://meshgate:8081',
  })
})

describe('what stands in the way', () => {
  const everywhere = config({ host: '0.0.0.0' })

  test.each<[Whereabouts, string, Parameters<typeof addressTrouble>[2], string | null]>([
    [config(), HERE, {}, null],
    [everywhere, ELSEWHERE, { homeserverUrl: 'http://meshgate:8081' }, null],
    [everywhere, ELSEWHERE, { homeserverUrl: 'http://meshgate:8080' }, 'leads to BRIDGE_PORT (8081)'],
    [everywhere, ELSEWHERE, { gatewayUrl: 'http://meshgate:8080' }, 'leads to BRIDGE_PORT (8081)'],
    [config(), ELSEWHERE, { homeserverUrl: 'http://meshgate:8081' }, 'Set BRIDGE_HOST to an address'],
    [config({}, 'http://synapse:8080'), HERE, { homeserverUrl: 'http://synapse:8080' }, null],
  ])('%#', (settings, url, given, expected) => {
    const trouble = addressTrouble(settings, url, given)
    if (expected === null) expect(trouble).toBeNull()
    else expect(trouble).toContain(expected)
  })
})
