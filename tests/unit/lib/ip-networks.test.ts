/** Networks of an address, and the part of it that identifies a client. */
import { describe, expect, test } from 'bun:test'
import { createClientAddress } from '../../../src/http/client-address.ts'
import { clientNetwork, createNetworkMatcher, isNetwork } from '../../../src/lib/ip-networks.ts'

test.each(['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0'])('%s is a network', text => {
  expect(isNetwork(text)).toBeTrue()
})

test.each(['10.0.0.0/33', 'fd00::/129', 'proxy', '10.0.0', '10.0.0.0/8/8', '10.0.0.0/', '/8', '::1/x'])(
  '%s is none',
  text => {
    expect(isNetwork(text)).toBeFalse()
  },
)

test('an address is in a network of its own family', () => {
  const isIn = createNetworkMatcher(['10.0.0.0/8', '192.0.2.7', 'fd00::/8'])
  expect(['10.255.0.1', '192.0.2.7', 'fd12::1'].every(isIn)).toBeTrue()
  expect(['11.0.0.1', '192.0.2.8', 'fe80::1', 'not an address', ''].some(isIn)).toBeFalse()
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:0:7::1', '2001:db8:0:7'],
  ['2001:db8:0:7:ffff:ffff:ffff:ffff', '2001:db8:0:7'],
  ['2001:0DB8:0000:0007::2', '2001:db8:0:7'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
])('the client at %s is %s', (address, network) => {
  expect(clientNetwork(address)).toBe(network)
})

describe('the client of a request', () => {
  const addressOf = createClientAddress(['127.0.0.1', '10.0.0.0/8'])

  test.each([
    ['198.51.100.1', '203.0.113.9', '198.51.100.1', 'who is no proxy is not believed'],
    ['127.0.0.1', null, '127.0.0.1', 'a proxy that names nobody stands for itself'],
    ['127.0.0.1', '203.0.113.9', '203.0.113.9', 'a proxy is believed'],
    ['::ffff:127.0.0.1', '203.0.113.9', '203.0.113.9', 'as IPv6 shows it, too'],
    ['127.0.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9', 'what the client itself claimed is not'],
    ['127.0.0.1', '203.0.113.9, 10.1.2.3', '203.0.113.9', 'several proxies are looked through'],
    ['127.0.0.1', '10.9.9.9, 10.1.2.3', '10.9.9.9', 'a client may be in a proxy’s network'],
    ['127.0.0.1', '203.0.113.9:4711', '203.0.113.9', 'a port is left out'],
    ['127.0.0.1', '[2001:db8::1]:4711', '2001:db8::1', 'brackets, too'],
    ['127.0.0.1', 'unknown', '127.0.0.1', 'what is no address is not taken for one'],
    ['127.0.0.1', '', '127.0.0.1', 'nor is nothing'],
  ])('%s with %p: %s (%s)', (socket, header, expected) => {
    expect(addressOf(socket, header)).toBe(expected)
  })
})
