/** How ghosts are named, whatever the template and whatever a network's ids look like. */
import { describe, expect, test } from 'bun:test'
import { decodeLocalpart, encodeLocalpart, ghostNamingFrom, remoteIdOf } from '../../../src/domain/ghosts.ts'

/** Each as the Matrix specification maps it ("Mapping from other character sets"). */
const MAPPED = [
  ['237123456789', '237123456789'],
  ['Alph@Bet_50up', '_alph=40_bet__50up'],
  ['urn:li:ACoAA/b=', 'urn=3ali=3a_a_co_a_a=2fb=3d'],
  ['5f0c2b1e-11aa-4c3d-9e2f-000000000001', '5f0c2b1e-11aa-4c3d-9e2f-000000000001'],
  ['é', '=c3=a9'],
] as const

test.each(MAPPED)('%s is %s', (id, localpart) => {
  expect(encodeLocalpart(id)).toBe(localpart)
  expect(decodeLocalpart(localpart)).toBe(id)
})

test.each(['_', 'a_', '_5', '=4', '=zz'])('%s is no such encoding', localpart => {
  expect(decodeLocalpart(localpart)).toBeNull()
})

describe.each([
  ['whatsapp_', ''],
  ['my_net_', ''],
  ['', '-on-chat'],
  ['bridge.', '_x'],
])('named %s…%s', (prefix, suffix) => {
  const naming = ghostNamingFrom(`@${prefix}237${suffix}:s`, '237')

  test('the account itself shows it', () => expect(naming).toEqual({ prefix, suffix }))

  test.each(MAPPED)('and so %s is found', (id, localpart) => {
    expect(remoteIdOf(`@${prefix}${localpart}${suffix}:s`, naming)).toBe(id)
  })

  test('while others are no ghosts of that bridge', () => {
    expect(remoteIdOf('@somebody:s', naming && { ...naming, prefix: `other_${prefix}` })).toBeNull()
  })
})

test('a ghost that is not named after the account shows nothing', () => {
  expect(ghostNamingFrom('@whatsapp_lid-55:s', '237')).toBeNull()
  expect(ghostNamingFrom('no user id', '237')).toBeNull()
})

test.each([
  ['@whatsapp_237:s', '237'],
  ['@linkedin__a_co_a:s', 'ACoA'],
  ['@whatsapp:s', null],
  ['@my_net_5:s', null],
])("%s by mautrix' default is %s", (userId, id) => expect(remoteIdOf(userId, null)).toBe(id))
