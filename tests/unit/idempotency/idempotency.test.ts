/** An Idempotency-Key while its request runs, after a crash, and under another SECRET_KEY. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { idempotencyKeys, settings } from '../../../src/db/schema/index.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createSealer } from '../../../src/lib/sealing.ts'
import { createIdempotencyKeys, REMEMBERED_MS } from '../../../src/modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../../../src/modules/idempotency/repository.ts'
import type { Claim, IdempotencyKeys, StoredAnswer } from '../../../src/modules/idempotency/types.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const REQUEST = { holder: 'identity/id_1', key: 'k', fingerprint: 'f' }
const MAX_KEYS = 3
const ANSWER: StoredAnswer = { status: 201, contentType: 'application/json', body: '{"token":"mt_secret"}' }

let db: TempDb
let clock: ManualClock
let keys: IdempotencyKeys
beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  keys = restarted()
})
afterEach(() => db.destroy())

/** As the next process finds them. */
function restarted(secretKey = 'a secret key of the tests'): IdempotencyKeys {
  return createIdempotencyKeys({
    repository: createIdempotencyRepository(db),
    maxPerHolder: MAX_KEYS,
    sealer: createSealer(secretKey),
    clock,
    logger: silentLogger,
  })
}

async function claimed(atomic = false, from = keys): Promise<Claim> {
  const result = await from.claim(REQUEST, { atomic })
  if ('answer' in result) throw new Error('it was answered already')
  return result.claim
}

const refusalOf = (claim: Promise<unknown>) =>
  claim.then(
    () => 'not refused',
    error => error,
  )

describe('a repeat while the first one is under way', () => {
  test('waits for its answer', async () => {
    const first = await claimed()
    const again = keys.claim(REQUEST, { atomic: false })
    await settled()
    await first.settle(ANSWER)
    expect(await again).toEqual({ answer: ANSWER })
  })

  test('has its turn when nothing came of the first one', async () => {
    const first = await claimed()
    const waiting = [keys.claim(REQUEST, { atomic: false }), keys.claim(REQUEST, { atomic: false })]
    await first.settle(null)
    const second = await Promise.race(waiting)
    if ('answer' in second) throw new Error('nothing was answered')
    await second.claim.settle(ANSWER)
    const answers = await Promise.all(waiting)
    expect(answers.filter(result => 'answer' in result)).toEqual([{ answer: ANSWER }])
  })

  test('is sent away when that takes too long', async () => {
    await claimed()
    const again = keys.claim(REQUEST, { atomic: false })
    const refusal = refusalOf(again)
    await clock.advance(30_000)
    expect(await refusal).toMatchObject({ code: 'conflict', retryAfterS: 1 })
  })

  test('with another request is refused at once', async () => {
    await claimed()
    expect(await refusalOf(keys.claim({ ...REQUEST, fingerprint: 'g' }, { atomic: false }))).toMatchObject({
      code: 'unprocessable',
    })
  })
})

describe('after a crash', () => {
  test('in the middle of the work nobody knows how far it came, for a day', async () => {
    await claimed()
    expect(await refusalOf(restarted().claim(REQUEST, { atomic: false }))).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('does not know how far'),
    })
    await clock.advance(REMEMBERED_MS)
    await claimed(false, restarted())
  })

  test('before an atomic work was committed it is done again', async () => {
    await claimed(true)
    await claimed(true, restarted())
  })

  test('between the commit of an atomic work and its answer: the answer that it recorded', async () => {
    const claim = await claimed(true)
    await db.write(async tx => {
      await tx.run(orm => orm.insert(settings).values({ name: 'work', value: 'done' }))
      await claim.record(tx, ANSWER)
    })
    expect(await restarted().claim(REQUEST, { atomic: true })).toEqual({ answer: ANSWER })
  })

  test('an atomic work that was rolled back left no answer', async () => {
    const claim = await claimed(true)
    const work = db.write(async tx => {
      await claim.record(tx, ANSWER)
      throw new Error('disk full')
    })
    await work.catch(() => undefined)
    await claim.settle(null)
    expect('claim' in (await keys.claim(REQUEST, { atomic: true }))).toBe(true)
  })
})

test('what is kept is sealed, and bound to its key', async () => {
  await (await claimed()).settle(ANSWER)
  const row = db.orm.select().from(idempotencyKeys).get()
  expect(JSON.stringify(row)).not.toContain('mt_secret')
  db.orm
    .insert(idempotencyKeys)
    .values({ ...REQUEST, holder: 'identity/id_2', answerSealed: row?.answerSealed, createdAt: clock.now() })
    .run()
  expect(
    await refusalOf(keys.claim({ ...REQUEST, holder: 'identity/id_2' }, { atomic: false })),
  ).toMatchObject({ code: 'conflict' })
})

test('an answer sealed under another SECRET_KEY can’t be told any more, and isn’t worked out anew', async () => {
  await (await claimed()).settle(ANSWER)
  expect(await refusalOf(restarted('another secret key').claim(REQUEST, { atomic: false }))).toMatchObject({
    code: 'conflict',
  })
})

test('what is older than a day is forgotten, a few at a time', async () => {
  const repository = createIdempotencyRepository(db)
  for (let number = 0; number < 5; number++)
    await repository.begin({ ...REQUEST, key: `${number}` }, clock.now() + number)
  expect(await repository.forget(clock.now() + 4, 3)).toBe(3)
  expect(await repository.forget(clock.now() + 4, 3)).toBe(1)
  expect(
    db.orm
      .select()
      .from(idempotencyKeys)
      .all()
      .map(row => row.key),
  ).toEqual(['4'])
})

describe('of one holder no more keys are kept than may be', () => {
  const request = (key: string, holder = REQUEST.holder) => ({ ...REQUEST, holder, key })
  const use = async (key: string, answer: StoredAnswer | null = ANSWER, from = keys, holder?: string) => {
    const result = await from.claim(request(key, holder), { atomic: false })
    if ('claim' in result) await result.claim.settle(answer)
  }
  const useAll = async () => {
    for (let key = 1; key <= MAX_KEYS; key += 1) await use(`k${key}`)
  }

  test('a new one is refused, repeats are answered, and others are not concerned', async () => {
    await useAll()
    expect(await refusalOf(use('new'))).toMatchObject({ code: 'too_many_requests', retryAfterS: 60 })
    expect(await keys.claim(request('k1'), { atomic: false })).toEqual({ answer: ANSWER })
    await use('new', ANSWER, keys, 'identity/id_2')
    const rows = db.orm.select().from(idempotencyKeys).all()
    expect(rows.filter(({ holder }) => holder === REQUEST.holder)).toHaveLength(MAX_KEYS)
  })

  test('also after a restart, and when many come at once', async () => {
    await useAll()
    expect(await refusalOf(use('new', ANSWER, restarted()))).toMatchObject({ code: 'too_many_requests' })
    const many = Array.from({ length: 10 }, (_, key) => use(`m${key}`, ANSWER, keys, 'identity/id_3'))
    const refused = (await Promise.allSettled(many)).filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(10 - MAX_KEYS)
  })

  test('those of requests that came to nothing take no room', async () => {
    for (let key = 0; key < 2 * MAX_KEYS; key += 1) await use(`n${key}`, null)
    await useAll()
  })

  test('there is room again once the oldest were forgotten', async () => {
    await useAll()
    await clock.advance(REMEMBERED_MS + 1)
    await createIdempotencyRepository(db).forget(clock.now() - REMEMBERED_MS, 100)
    await use('new')
    expect(db.orm.select().from(idempotencyKeys).all()).toHaveLength(1)
  })
})
