/** A sealed value opens only with the same key, in the same place, and unaltered. */
import { describe, expect, test } from 'bun:test'
import { createHmacHasher, createSealer, deriveKey, equalInConstantTime } from '../../../src/lib/sealing.ts'

const sealer = createSealer('a secret key of some length')

describe('a sealed value', () => {
  test.each(['', 'whsec_abc', 'ключ 🔑', 'x'.repeat(100_000)])('opens again', plaintext => {
    expect(sealer.open(sealer.seal(plaintext, 'place'), 'place')).toBe(plaintext)
  })

  test('does not show its content, and differs each time', () => {
    const first = sealer.seal('plain', 'place')
    expect(first).toStartWith('v1.')
    expect(Buffer.from(first.slice(3), 'base64url').toString('latin1')).not.toContain('plain')
    expect(sealer.seal('plain', 'place')).not.toBe(first)
  })

  test('does not open in another place', () => {
    expect(() => sealer.open(sealer.seal('plain', 'webhook-secret:1'), 'webhook-secret:2')).toThrow()
  })

  test('does not open under another key', () => {
    expect(() =>
      createSealer('another key altogether').open(sealer.seal('plain', 'place'), 'place'),
    ).toThrow()
  })

  test('does not open once any byte was altered', () => {
    const bytes = Buffer.from(sealer.seal('plain', 'place').slice(3), 'base64url')
    for (const index of bytes.keys()) {
      const altered = Buffer.from(bytes)
      altered[index] = (altered[index] ?? 0) ^ 1
      expect(() => sealer.open(`v1.${altered.toString('base64url')}`, 'place')).toThrow()
    }
  })

  test.each(['', 'plain', 'v1.', 'v1.AAAA', 'v2.AAAA'])('%p is not one', text => {
    expect(() => sealer.open(text, 'place')).toThrow('not a sealed value')
  })
})

test('each purpose has a key of its own, the same at each start', () => {
  expect(deriveKey('secret', 'tokens')).toEqual(deriveKey('secret', 'tokens'))
  expect(deriveKey('secret', 'tokens')).not.toEqual(deriveKey('secret', 'sealing'))
  expect(deriveKey('secret', 'tokens')).not.toEqual(deriveKey('secret2', 'tokens'))
  expect(deriveKey('secret', 'tokens')).toHaveLength(32)
})

test('a keyed hash is HMAC-SHA256 in lowercase hex', () => {
  // RFC 4231, test case 2.
  expect(createHmacHasher(Buffer.from('Jefe'))('what do ya want for nothing?')).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  )
})

test.each([
  ['', '', true],
  ['abc', 'abc', true],
  ['abc', 'abd', false],
  ['abc', 'abcd', false],
  ['', 'a', false],
])('%p equals %p in constant time: %p', (a, b, equal) => {
  expect(equalInConstantTime(a, b)).toBe(equal)
})
