/** What an Idempotency-Key stands for: while its request is under way, after a crash, and under another SECRET_KEY. */
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
  const repository = createIdempotencyRepository(db)
  return createIdempotencyKeys({ repository, sealer: createSealer(secretKey), clock, logger: silentLogger })
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
    await db.committer.write(() => {
      db.orm.insert(settings).values({ name: 'work', value: 'done' }).run()
      claim.record(ANSWER)
    })
    expect(await restarted().claim(REQUEST, { atomic: true })).toEqual({ answer: ANSWER })
  })

  test('an atomic work that was rolled back left no answer', async () => {
    const claim = await claimed(true)
    const work = db.committer.write(() => {
      claim.record(ANSWER)
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
