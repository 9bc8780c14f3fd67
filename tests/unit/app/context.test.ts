/** The parts that all others are made with, and those that a test puts in their stead. */
import { expect, test } from 'bun:test'
import { createContext, createPublicUrl } from '../../../src/app/context.ts'
import { configFrom, parseEnvironment } from '../../../src/config/index.ts'
import { migrationStatus } from '../../../src/db/migrate.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { observeWith } from '../../../src/modules/operations/observation/observation.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { tempDb } from '../../support/temp-db.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ENV = { CLIENT_ID: 'admin', CLIENT_SECRET: 'a secret of the tests', SECRET_KEY: 'a key of the tests' }
const settings = (directory: string, env: Record<string, string> = {}) =>
  configFrom(parseEnvironment({ ...ENV, LOG_LEVEL: 'silent', ...env }), directory)

test('what isn’t given is made from the configuration: a migrated database under SECRET_KEY', async () => {
  using folder = tempDir()
  const { config, secrets } = settings(folder.path)
  const { db, sealer, version } = await createContext(config, secrets)
  expect(version).toBe('development')
  expect(migrationStatus(db.connection).filter(({ appliedAt }) => appliedAt === null)).toEqual([])
  expect(sealer.open(sealer.seal('words', 'here'), 'here')).toBe('words')
  await db.close()
})

test('what is given takes the place of what would be made', async () => {
  using folder = tempDir()
  const { config, secrets } = settings(folder.path)
  const db = tempDb()
  const clock = new ManualClock()
  let commits = 0
  const observer = observeWith([{ committed: () => (commits += 1) }])
  const given = { db, clock, observer, logger: silentLogger, version: '1.2.3' }
  const context = await createContext(config, secrets, given)
  expect(context).toMatchObject({ db, signals: db.signals, observer, logger: silentLogger, version: '1.2.3' })
  expect(context.clock.now()).toBe(clock.now())
  await db.write(async () => undefined)
  expect(commits).toBe(1)
  await db.destroy()
})

test('a refused start leaves the database to the next one', async () => {
  using folder = tempDir()
  const own = settings(folder.path)
  await (await createContext(own.config, own.secrets)).db.close()
  const other = settings(folder.path, { SECRET_KEY: 'another key of the tests' })
  await expect(createContext(other.config, other.secrets)).rejects.toThrow('SECRET_KEY')
  await (await createContext(own.config, own.secrets)).db.close()
})

test('the public URL is PUBLIC_URL, else that of the port that the server has come to listen on', () => {
  const { config } = settings('/nowhere', { PUBLIC_URL: 'https://gateway.example' })
  const named = createPublicUrl(config)
  named.listensOn(1234)
  expect(named.current()).toBe('https://gateway.example')
  const local = createPublicUrl(settings('/nowhere', { PORT: '0', HOST: '0.0.0.0' }).config)
  local.listensOn(1234)
  expect(local.current()).toBe('http://localhost:1234')
})
