/** Devices' knowledge of people's numbers, on a test's database, from a fake bridge or none. */
import type { Db } from '../../src/db/open.ts'
import { GatewayError } from '../../src/domain/errors.ts'
import type { Bridge, Bridges } from '../../src/domain/ports.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createPeopleRepository } from '../../src/modules/chats/people-repository.ts'
import { createPeoplesPhones, type PeoplesPhones } from '../../src/modules/chats/phones.ts'
import { ManualClock } from './manual-clock.ts'

/** @param bridge by default one that can't look up numbers */
export function phonesOn(
  db: Db,
  bridge: Pick<Bridge, 'resolveIdentifier'> = { resolveIdentifier: refuse },
  clock: Clock = new ManualClock(),
): PeoplesPhones {
  const bridges: Bridges = {
    platforms: ['wa'],
    forPlatform: () => bridge as Bridge,
    platformOfBot: async () => null,
    ownsUser: () => null,
  }
  return createPeoplesPhones({
    repository: createPeopleRepository(db),
    bridges,
    matrixUserOf: async () => '@mg1:s',
    clock,
    logger: silentLogger,
  })
}

async function refuse(): Promise<never> {
  throw new GatewayError('not_supported', 'nobody can be looked up here')
}
