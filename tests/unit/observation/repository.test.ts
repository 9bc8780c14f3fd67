/** What the metrics read of the database. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createObservationRepository } from '../../../src/modules/observation/repository.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

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
