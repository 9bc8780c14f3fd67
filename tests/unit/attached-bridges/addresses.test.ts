/** By which address a bridge reaches the homeserver and the gateway. */
import { describe, expect, test } from 'bun:test'
import { addressesForBridge, type Whereabouts } from '../../../src/modules/attached-bridges/addresses.ts'

const HERE = 'http://127.0.0.1:29318'
const ELSEWHERE = 'http://whatsapp:29318'

function config(http: Partial<Whereabouts['http']> = {}, homeserverUrl?: string): Whereabouts {
  return {
    http: { host: '127.0.0.1', port: 8080, publicUrl: undefined, tls: undefined, ...http },
    matrix: { homeserverUrl },
  }
}

describe('with the embedded homeserver', () => {
  test.each<[string, Whereabouts, string]>([
    ['on this machine', config(), 'http://127.0.0.1:8080'],
    ['on this machine, with a public URL', config({ publicUrl: 'https://gw.org' }), 'http://127.0.0.1:8080'],
    ['listening everywhere', config({ host: '0.0.0.0' }), 'http://127.0.0.1:8080'],
    ['listening everywhere on IPv6', config({ host: '::' }), 'http://[::1]:8080'],
    ['listening on one address', config({ host: '10.0.0.7' }), 'http://10.0.0.7:8080'],
    ['with TLS', config({ tls: {}, publicUrl: 'https://gw.org' }), 'https://gw.org'],
  ])('%s', (_, settings, address) => {
    expect(addressesForBridge(settings, HERE, {})).toEqual({ homeserver: address, gateway: address })
  })

  test('elsewhere: by PUBLIC_URL, or by what is said', () => {
    const publicUrl = 'https://gw.org'
    expect(addressesForBridge(config({ publicUrl }), ELSEWHERE, {}).homeserver).toBe(publicUrl)
    const said = { homeserverUrl: 'http://meshgate:8080' }
    expect(addressesForBridge(config(), ELSEWHERE, said)).toEqual({
      homeserver: 'http://meshgate:8080',
      gateway: 'http://meshgate:8080',
    })
  })

  test.each([
    ['elsewhere', config(), ELSEWHERE],
    ['on a port that isn’t known', config({ port: 0 }), HERE],
    ['with TLS and no public name', config({ tls: {} }), HERE],
  ])('%s, with nothing said, is refused', (_, settings, url) => {
    expect(() => addressesForBridge(settings, url, {})).toThrow('--homeserver-url: ')
  })
})

test('with an external homeserver: that, and for reports the gateway where it can be told', () => {
  const external = config({}, 'http://synapse:8008')
  expect(addressesForBridge(external, HERE, {})).toEqual({
    homeserver: 'http://synapse:8008',
    gateway: 'http://127.0.0.1:8080',
  })
  expect(addressesForBridge(external, ELSEWHERE, {})).toEqual({
    homeserver: 'http://synapse:8008',
    gateway: null,
  })
  const said = { homeserverUrl: 'http://hs:8008', gatewayUrl: 'http://meshgate:8080' }
  expect(addressesForBridge(external, ELSEWHERE, said)).toEqual({
    homeserver: 'http://hs:8008',
    gateway: 'http://meshgate:8080',
  })
})
