/** Events of links. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { events } from '../../../src/db/schema/index.ts'
import { tellLinks } from '../../../src/modules/devices/link-told.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

let module: ReturnType<typeof testModule>
beforeEach(() => {
  module = testModule()
})
afterEach(() => module.db.destroy())

test('each state is an event, in order, with nothing but the state', async () => {
  const tell = tellLinks(module)
  const link = { id: 'lnk_1', identityId: 'id_1', platform: 'wa' }
  tell(link, 'waiting_for_scan')
  tell(link, 'connected')
  const told = () => module.db.orm.select().from(events).all()
  await waitFor(() => told().length === 2, { what: 'both events' })
  expect(told().map(({ payload }) => payload)).toEqual(
    ['waiting_for_scan', 'connected'].map(state => ({
      event: 'link.updated',
      timestamp: expect.any(String),
      id: 'lnk_1',
      platform: 'wa',
      state,
    })) as never,
  )
})
