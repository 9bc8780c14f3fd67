/**
 * A module on a real database: `testModule({ bridge, session })` has a database with an identity
 * (rows.ts inserts more), a clock that the test moves, and the chats module. The test scripts the
 * bridge and the Matrix session that it needs; nothing else answers.
 */
import type { Db } from '../../src/db/open.ts'
import { GatewayError } from '../../src/domain/errors.ts'
import type { Bridge, Bridges, MatrixSession } from '../../src/domain/ports.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { type Logger, silentLogger } from '../../src/lib/logger.ts'
import { createChatsModule } from '../../src/modules/chats/index.ts'
import { ManualClock } from './manual-clock.ts'
import { insertIdentity } from './rows.ts'
import { tempDb } from './temp-db.ts'

export interface ModuleFakes {
  /** Answers for every platform; by default it finds nobody. */
  bridge?: Partial<Bridge>
  /** The identity's. */
  session?: Partial<MatrixSession>
  bridges?: Partial<Bridges>
  clock?: Clock
  logger?: Logger
}

export function testModule(fakes: Omit<ModuleFakes, 'clock'> = {}) {
  const db = tempDb()
  const clock = new ManualClock()
  insertIdentity(db)
  return { db, ...moduleOn(db, { ...fakes, clock }), clock }
}

/** The surroundings of a module, and the chats module, on a test's own database. */
export function moduleOn(db: Db, fakes: ModuleFakes = {}) {
  const { bridge, session, bridges, clock = new ManualClock(), logger = silentLogger } = fakes
  const surroundings = {
    bridges: { ...bridgesWith({ resolveIdentifier: findNobody, ...bridge }), ...bridges },
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    signals: db.signals,
    avatars: { urlOf: (_identityId: string, mxcUri: string | null) => mxcUri && `http://x/${mxcUri}` },
    clock,
    logger,
  }
  return { ...surroundings, ...createChatsModule({ db, ...surroundings }) }
}

const BOTS: Readonly<Record<string, string>> = { '@whatsappbot:s': 'wa', '@signalbot:s': 'signal' }

/** Bridges of wa and signal, whose users are named after their networks. */
export function bridgesWith(bridge: Partial<Bridge>): Bridges {
  return {
    platforms: ['wa', 'signal'],
    forPlatform: () => bridge as Bridge,
    platformOfBot: async bot => BOTS[bot] ?? null,
    ownsUser: (platform, userId) => (platform === 'wa' ? /^@whatsapp.*:s$/ : /^@signal.*:s$/).test(userId),
  }
}

async function findNobody(): Promise<never> {
  throw new GatewayError('not_supported', 'nobody can be looked up here')
}
