/** Identities without a token left. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { tokens, webhooks } from '../../../src/db/schema/index.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createIdentityRepository } from '../../../src/modules/tenants/identity-repository.ts'
import { createRetirement } from '../../../src/modules/tenants/retirement.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity, insertToken, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let retired: string[]
let voided: string[]
let bridgeIsDown: boolean
let stop: () => Promise<void>

beforeEach(async () => {
  db = tempDb()
  clock = new ManualClock()
  retired = []
  voided = []
  bridgeIsDown = false
  insertIdentity(db)
  insertIdentity(db, 'id_host', '@mg2:s')
  db.connection.run("UPDATE identities SET is_host = 1 WHERE id = 'id_host'")
  insertDevice(db)
  insertDevice(db, { id: 'dev_host', identityId: 'id_host' })
  insertWebhook(db)
  insertToken(db)
  const retirement = createRetirement({
    signals: db.signals,
    unreachable: createIdentityRepository(db).unreachable,
    belongings: {
      discardQueues: async identityId => void voided.push(identityId),
      removeWebhooks: async () => {
        db.orm.delete(webhooks).run()
      },
      logOutDevices: async identityId => {
        if (bridgeIsDown) throw new Error('down')
        retired.push(identityId)
        db.connection.run('UPDATE devices SET removed_at = 1 WHERE identity_id = ?', [identityId])
      },
    },
    clock,
    logger: silentLogger,
  })
  const controller = new AbortController()
  const running = retirement.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  await settled()
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

test('are retired when their last token is gone, once, and the host never is', async () => {
  expect(retired).toEqual([])
  db.orm.delete(tokens).run()
  db.signals.emit('token-removed')
  await settled()
  expect(retired).toEqual(['id_1'])
  expect(db.orm.select().from(webhooks).all()).toEqual([])
  await clock.advance(3_600_000)
  expect(retired).toEqual(['id_1'])
})

test('are tried again when the bridge was down', async () => {
  bridgeIsDown = true
  db.orm.delete(tokens).run()
  db.signals.emit('token-removed')
  await settled()
  // Meanwhile none of the identity's messages is sent.
  expect(voided).toEqual(['id_1'])
  bridgeIsDown = false
  await clock.advance(600_000)
  expect(retired).toEqual(['id_1'])
})
