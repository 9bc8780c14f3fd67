/** Figures that the metrics read from the database. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { messages, outboxLanes } from '../../../../src/db/schema/index.ts'
import { createObservationRepository } from '../../../../src/modules/operations/observation/repository.ts'
import { insertDevice } from '../../../support/rows.ts'
import { WebhookScene } from '../../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

test('what waits for a webhook that is switched off is not counted, until it is switched on again', async () => {
  scene.hook(2, { active: false })
  scene.event('one', { webhookId: 1 })
  scene.event('two', { webhookId: 2 })
  const waiting = async () => [...(await createObservationRepository(scene.db).deliveries())]
  const since = scene.clock.now()
  expect(await waiting()).toEqual([['id_1/1', { count: 1, since }]])
  await scene.side.webhooks.update('id_1', 2, { active: true })
  expect((await waiting()).map(([webhook]) => webhook).sort()).toEqual(['id_1/1', 'id_1/2'])
})

test('however long the queues and their lanes are, all of them is counted, and the oldest found', async () => {
  insertDevice(scene.db)
  const { orm } = scene.db
  const lanes = ['dev_1/contact:1', 'dev_1/contact:2', 'dev_1/contact:3']
  orm
    .insert(outboxLanes)
    .values(lanes.map(lane => ({ lane, deviceRowId: 'dev_1', dueAt: 0 })))
    .run()
  const message = {
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    recipientKind: 'contact' as const,
    recipient: '1',
    status: 'queued' as const,
    attempts: 0,
    resends: 0,
    updatedAt: 0,
  }
  scene.db.connection.run('BEGIN')
  for (let count = 0; count < 2_500; count++) {
    const lane = lanes[count < 1_400 ? 1 : count % 3] ?? ''
    orm
      .insert(messages)
      .values({ ...message, id: `msg_${count}`, lane, createdAt: 1_000 + count })
      .run()
  }
  for (let count = 0; count < 1_100; count++) scene.event(`${count}`, { roomId: `!${count % 2}:s` })
  scene.db.connection.run('COMMIT')
  const repository = createObservationRepository(scene.db)
  expect([...(await repository.outbox())]).toEqual([['dev_1', { count: 2_500, since: 1_000 }]])
  expect([...(await repository.deliveries())]).toMatchObject([['id_1/1', { count: 1_100 }]])
})
