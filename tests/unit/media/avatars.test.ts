/** Signed addresses of pictures. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createAvatars } from '../../../src/modules/media/avatars.ts'
import { createMediaRepository } from '../../../src/modules/media/repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertIdentity, insertToken } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let asked: unknown[]
let body: string
beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  asked = []
  body = 'a picture'
  insertIdentity(db)
})
afterEach(() => db.destroy())

const avatars = (sign = (text: string) => `s(${text.length})`) =>
  createAvatars({
    repository: createMediaRepository(db),
    publicUrl: () => 'https://gateway.example.com',
    urlTtlS: 60,
    sign,
    sessionOf: async identityId => ({
      download: async mxcUri => {
        asked.push([identityId, mxcUri])
        return new Response(body, { headers: { 'content-type': 'image/png' } })
      },
    }),
    clock,
  })

function partsOf(url: string | null): [id: string, expires: number, signature: string] {
  const { pathname, searchParams } = new URL(url ?? '')
  return [
    pathname.split('/').at(-1) ?? '',
    Number(searchParams.get('expires')),
    searchParams.get('signature') ?? '',
  ]
}

test('an address leads to the picture, and there is none without one', async () => {
  insertToken(db)
  const { urlOf, open } = avatars()
  expect(urlOf('id_1', null)).toBeNull()
  const url = urlOf('id_1', 'mxc://s/ann')
  expect(url).toStartWith('https://gateway.example.com/api/v1/avatars/')
  const { bytes, mimeType } = await open(...partsOf(url))
  expect([new TextDecoder().decode(bytes), mimeType]).toEqual(['a picture', 'image/png'])
  expect(asked).toEqual([['id_1', 'mxc://s/ann']])
})

describe('refused is', () => {
  const codeOf = (parts: ReturnType<typeof partsOf>) =>
    avatars()
      .open(...parts)
      .then(
        () => null,
        error => error.code,
      )

  test('another signature, another time, and one that is over', async () => {
    insertToken(db)
    const [id, expires, signature] = partsOf(avatars().urlOf('id_1', 'mxc://s/ann'))
    expect(await codeOf([id, expires, 'other'])).toBe('forbidden')
    expect(await codeOf([`${id}x`, expires, signature])).toBe('forbidden')
    await clock.advance(61_000)
    expect(await codeOf([id, expires, signature])).toBe('forbidden')
    expect(asked).toEqual([])
  })

  test('an identity without a token', async () => {
    expect(await codeOf(partsOf(avatars().urlOf('id_1', 'mxc://s/ann')))).toBe('forbidden')
  })

  test('more than a picture of somebody takes', async () => {
    insertToken(db)
    body = 'x'.repeat(5 * 1024 * 1024 + 1)
    expect(await codeOf(partsOf(avatars().urlOf('id_1', 'mxc://s/ann')))).toBe('not_found')
  })
})
