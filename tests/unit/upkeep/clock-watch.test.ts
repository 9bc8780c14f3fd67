/**
 * Clocks that are set, ahead and back, while the gateway runs and while it doesn't: nothing is due
 * earlier or later than it was.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  awaitedLogins,
  devices,
  idempotencyKeys,
  messages,
  outboxDevices,
  outboxLanes,
} from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createProcessClock } from '../../../src/lib/process-clock.ts'
import { createIdempotencyRepository } from '../../../src/modules/idempotency/repository.ts'
import { createMessageRepository } from '../../../src/modules/sending/message-repository.ts'
import { createTimekeepingRepository } from '../../../src/modules/upkeep/clock-repository.ts'
import { createClockWatch } from '../../../src/modules/upkeep/clock-watch.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const DAY = 24 * 3_600_000

let db: TempDb
let machine: ManualClock
let moved: number
let stop: () => Promise<void>

beforeEach(() => {
  db = tempDb()
  machine = new ManualClock()
  moved = 0
  db.signals.on('clock-moved', () => moved++)
  stop = async () => undefined
  insertIdentity(db)
  insertDevice(db, { linkedAt: machine.now() - 1_000, stateSince: machine.now() - 1_000 })
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

/** A run of the gateway, as far as its clock goes. */
async function run(repository = createTimekeepingRepository(db)) {
  const clock = createProcessClock(machine)
  const watch = createClockWatch({ clock, repository, signals: db.signals, logger: silentLogger })
  await watch.begin()
  const controller = new AbortController()
  const running = watch.worker.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  await settled()
  return clock
}

/** A message that waits for five seconds more, of a device whose pace has it rest for a minute. */
async function waitingMessage() {
  const row = {
    id: 'msg_1',
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    lane: 'a',
    recipientKind: 'contact' as const,
    recipient: 'a',
    text: 'hello',
    mediaId: null,
    replyTo: null,
    expiresAt: machine.now() + 30_000,
  }
  await createMessageRepository(db).accept([row], undefined, machine.now())
  const request = { holder: 'identity/id_1', key: 'k', fingerprint: 'f' }
  await createIdempotencyRepository(db).begin(request, machine.now())
  db.orm
    .update(outboxLanes)
    .set({ dueAt: machine.now() + 5_000 })
    .run()
  db.orm
    .update(outboxDevices)
    .set({ dueAt: machine.now() + 60_000, nextSendAt: machine.now() + 60_000 })
    .run()
}

/** How long each still has to wait, and how old the message is. */
function waits(now: number) {
  return {
    lane: (db.orm.select().from(outboxLanes).get()?.dueAt ?? 0) - now,
    pace: (db.orm.select().from(outboxDevices).get()?.nextSendAt ?? 0) - now,
    device: (db.orm.select().from(outboxDevices).get()?.dueAt ?? 0) - now,
    expiry: (db.orm.select().from(messages).get()?.expiresAt ?? 0) - now,
    key: now - (db.orm.select().from(idempotencyKeys).get()?.createdAt ?? 0),
    age: now - (db.orm.select().from(messages).get()?.createdAt ?? 0),
  }
}

describe.each([-DAY, DAY, -90_000, 90_000])('set by %d ms', step => {
  test('while the gateway runs', async () => {
    const clock = await run()
    await waitingMessage()
    await machine.advance(1_000)
    machine.set(step)
    await machine.advance(1_000)
    await settled()
    expect(clock.now()).toBe(machine.now())
    expect(waits(clock.now())).toEqual({
      lane: 3_000,
      pace: 58_000,
      device: 58_000,
      expiry: 28_000,
      key: 2_000,
      age: 2_000,
    })
    expect(moved).toBe(1)
  })
})

test.each([-90_000, 90_000])('set by %d ms, what waits for the network’s time waits for that', async step => {
  const until = machine.now() + DAY
  await run()
  await waitingMessage()
  db.orm.update(devices).set({ restrictedUntil: until }).run()
  db.orm.update(outboxLanes).set({ dueAt: until }).run()
  db.orm.update(outboxDevices).set({ dueAt: until, nextSendAt: 0 }).run()
  machine.set(step)
  await machine.advance(1_000)
  await settled()
  expect(moved).toBe(1)
  expect(db.orm.select().from(outboxLanes).get()?.dueAt).toBe(until)
  expect(db.orm.select().from(outboxDevices).get()?.dueAt).toBeLessThanOrEqual(until)
})

test('set back while no gateway runs: what waits doesn’t wait for days', async () => {
  await run()
  await waitingMessage()
  await stop()
  machine.set(-DAY)
  const clock = await run()
  expect(waits(clock.now())).toEqual({
    lane: 5_000,
    pace: 60_000,
    device: 60_000,
    expiry: 30_000,
    key: 0,
    age: 0,
  })
  await stop()
  // Once: the next start finds nothing amiss.
  await run()
  expect(waits(clock.now()).lane).toBe(5_000)
})

test('time that went by while no gateway ran is just that', async () => {
  await run()
  await waitingMessage()
  await stop()
  await machine.advance(DAY)
  const clock = await run()
  expect(waits(clock.now())).toMatchObject({ lane: 5_000 - DAY, age: DAY })
})

test('a clock set ahead makes no key forgotten that a client may still repeat', async () => {
  const clock = await run()
  db.orm
    .insert(idempotencyKeys)
    .values({ holder: 'a', key: '1', fingerprint: '', answerSealed: null, createdAt: machine.now() })
    .run()
  machine.set(3 * DAY)
  await machine.advance(1_000)
  await settled()
  expect(db.orm.select().from(idempotencyKeys).get()?.createdAt).toBe(clock.now() - 1_000)
})

test('a device was linked before what the network brings now, however far the clock is set back', async () => {
  const clock = await run()
  machine.set(-DAY)
  await machine.advance(1_000)
  await settled()
  const { linkedAt, stateSince, receivesFrom } = db.orm.select().from(devices).get() ?? {}
  expect({ linkedAt, stateSince, receivesFrom }).toEqual({
    linkedAt: clock.now() - 2_000,
    stateSince: clock.now() - 2_000,
    receivesFrom: null,
  })
})

test('so was a login asked for that is still awaited', async () => {
  const clock = await run()
  const [identityId, since] = ['id_1', machine.now() + 1_000]
  db.orm.insert(awaitedLogins).values({ identityId, platform: 'wa', since }).run()
  machine.set(-DAY)
  await machine.advance(1_000)
  await settled()
  expect(db.orm.select().from(awaitedLogins).get()?.since).toBeLessThanOrEqual(clock.now())
})

test('a full disk delays that, and nothing is moved twice', async () => {
  const repository = createTimekeepingRepository(db)
  let isFull = false
  const filling = {
    ...repository,
    move: (step: number, now: number) =>
      isFull ? Promise.reject(new GatewayError('storage_full', 'no space')) : repository.move(step, now),
  }
  const clock = createProcessClock(machine)
  const watch = createClockWatch({ clock, repository: filling, signals: db.signals, logger: silentLogger })
  await waitingMessage()
  machine.set(-DAY)
  isFull = true
  await expect(watch.worker.run(new AbortController().signal)).rejects.toThrow('no space')
  isFull = false
  const controller = new AbortController()
  const running = watch.worker.run(controller.signal)
  await settled()
  await machine.advance(3_000)
  expect(waits(clock.now())).toMatchObject({ lane: 2_000, age: 3_000 })
  controller.abort()
  await running
})
