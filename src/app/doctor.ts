/** Puts the checks of `meshgate doctor` and `meshgate bridge check` together. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createBridgeProbe } from '../bridges/bridge-probe.ts'
import { encryptionIn } from '../bridges/setup/encryption.ts'
import { programVersion } from '../bridges/setup/program.ts'
import { type Config, childEnvironment, type Secrets } from '../config/index.ts'
import { isDataDirInUse } from '../db/lock.ts'
import { migrationStatus } from '../db/migrate.ts'
import { type Db, openDb } from '../db/open.ts'
import { systemClock } from '../lib/clock.ts'
import { reachableHost } from '../lib/hosts.ts'
import { createHomeserverProbe } from '../matrix/homeserver-probe.ts'
import {
  type AttachedBridge,
  createAttachedBridges,
  describeProcess,
  failedUpdate,
  startCommandOf,
} from '../modules/bridges-attached/bridges-attached.ts'
import { createArrivals, createAttachedBridgeRepository } from '../modules/bridges-attached/repository.ts'
import { type BridgeToCheck, bridgeCheck } from '../modules/operations/doctor/bridge.ts'
import { databaseCheck, secretKeyCheck } from '../modules/operations/doctor/database.ts'
import { type Check, type Finding, runChecks } from '../modules/operations/doctor/doctor.ts'
import {
  accountsCheck,
  appserviceCheck,
  type HomeserverToCheck,
  homeserverCheck,
} from '../modules/operations/doctor/homeserver.ts'
import { clockCheck, diskCheck, permissionsCheck } from '../modules/operations/doctor/machine.ts'
import { publicUrlCheck } from '../modules/operations/doctor/public-url.ts'
import { newestInstant } from '../modules/operations/doctor/repository.ts'
import { openKeyring } from '../modules/operations/secret-key/secret-key.ts'
import { GATEWAY_APPSERVICE_ID } from './bridge-attachment.ts'
import { trialOf, wayOf } from './trial-account.ts'

/** A deployment as it is found. */
interface Site {
  config: Config
  secrets: Secrets
  /** Null while there is no database, or one that isn't as it should be. */
  db: Db | null
  attached: AttachedBridge[]
  homeserver: HomeserverToCheck
  /** True when a gateway runs on this DATA_DIR. */
  isRunning: boolean
}

/** Checks all that a deployment needs, in the order of dependence. Changes nothing. */
export async function* diagnose(config: Config, secrets: Secrets, envFile: string): AsyncGenerator<Finding> {
  const { dir, databaseFile } = config.data
  // Before the database is opened, which closes its files to others.
  yield* runChecks([
    permissionsCheck([envFile, dir, databaseFile]),
    diskCheck(dir),
    databaseCheck(databaseFile, config.media.quotaBytes),
  ])
  yield* withSite(config, secrets, site => runChecks(siteChecks(site)))
}

/**
 * One platform's bridge. One that the gateway runs is waited for while it may be starting.
 * @returns nothing when there is none of that name
 */
export async function* diagnoseBridge(
  config: Config,
  secrets: Secrets,
  platform: string,
): AsyncGenerator<Finding> {
  const meant = (site: Site) => bridgesOf(site).filter(bridge => bridge.platform === platform)
  yield* withSite(config, secrets, site => runChecks(meant(site).map(untilStarted)))
  // Meanwhile the gateway may have started as well.
  yield* withSite(config, secrets, site => runChecks(meant(site).map(bridgeCheck)))
}

/** Milliseconds for a gateway and its bridge to start, and between looks at the bridge. */
const STARTING_MS = 6_000
const LOOK_MS = 200

/** Finds nothing: what comes after it does. */
function untilStarted({ platform, process, probe }: BridgeToCheck): Check {
  return {
    subject: `${platform} bridge`,
    async run() {
      const deadline = systemClock.steady() + STARTING_MS
      while (process.isOurs && 'error' in (await probe.reach()) && systemClock.steady() < deadline)
        await systemClock.sleep(LOOK_MS)
      return []
    },
  }
}

async function* withSite(
  config: Config,
  secrets: Secrets,
  look: (site: Site) => AsyncGenerator<Finding>,
): AsyncGenerator<Finding> {
  const isRunning = isDataDirInUse(config.data.dir)
  const db = await usableDatabase(config.data.databaseFile)
  try {
    // Under another SECRET_KEY they can't be read, which has a check of its own.
    const attached = db ? await bridgesIn(db, secrets).catch(() => []) : []
    yield* look({
      config,
      secrets,
      db,
      attached,
      homeserver: await homeserverOf(config, db, attached, isRunning),
      isRunning,
    })
  } finally {
    await db?.close()
  }
}

function siteChecks(site: Site): Check[] {
  const { config, secrets, db, homeserver, isRunning } = site
  const asToken = secrets.accounts?.kind === 'appservice' ? secrets.accounts.asToken : undefined
  return [
    ...(db ? [secretKeyCheck({ list: () => bridgesIn(db, secrets) })] : []),
    homeserverCheck(homeserver),
    ...(asToken === undefined
      ? []
      : [
          appserviceCheck(homeserver, {
            appserviceId: GATEWAY_APPSERVICE_ID,
            asToken,
            isRunning,
            comesTo: async () => (db ? createArrivals(db).find('homeserver') : null),
          }),
        ]),
    accountsCheck(trialOf(config, secrets, db), wayOf(secrets)),
    ...bridgesOf(site).map(bridgeCheck),
    clockCheck(systemClock, () => clockEvidence(site)),
    publicUrlCheck(config.http.publicUrl, isRunning, systemClock),
  ]
}

/** Opened only when it is there and of this version: looking must not change it. */
async function usableDatabase(databaseFile: string): Promise<Db | null> {
  if (!existsSync(databaseFile)) return null
  let db: Db | undefined
  try {
    db = openDb(databaseFile)
    if (migrationStatus(db.connection).every(({ appliedAt }) => appliedAt !== null)) return db
  } catch {
    // The database's own check says what is wrong with it.
  }
  await db?.close()
  return null
}

/** @throws StartError when the SECRET_KEY isn't the database's */
async function bridgesIn(db: Db, secrets: Secrets): Promise<AttachedBridge[]> {
  const { sealer } = await openKeyring(db, secrets)
  return createAttachedBridges(db, sealer).list()
}

async function homeserverOf(
  { bridgeListener: { host, port }, matrix }: Config,
  db: Db | null,
  attached: readonly AttachedBridge[],
  isRunning: boolean,
): Promise<HomeserverToCheck> {
  const own = `http://${reachableHost(host)}:${port}`
  const lastUrl = port === 0 && db ? await createArrivals(db).lastUrl() : null
  const url = matrix.homeserverUrl ?? lastUrl ?? own
  return {
    url,
    serverName: matrix.serverName,
    isEmbedded: matrix.homeserverUrl === undefined,
    isRunning,
    isUnserved: matrix.homeserverUrl === undefined && attached.length === 0,
    probe: createHomeserverProbe(url),
  }
}

/** The bridges of settings and database: where both have one, the settings say where it is. */
function bridgesOf({ config, secrets, db, attached, homeserver, isRunning }: Site): BridgeToCheck[] {
  const platforms = new Set([...attached, ...config.bridges].map(({ platform }) => platform))
  return [...platforms].sort().map(platform => {
    const row = attached.find(bridge => bridge.platform === platform)
    const named = config.bridges.find(bridge => bridge.platform === platform)
    const url = named?.url ?? row?.url ?? ''
    const dir = row?.dir ?? join(config.data.dir, 'bridges', platform)
    const command = named?.command ?? row?.command ?? null
    const isOurs = command !== null
    return {
      platform,
      url,
      secret: secrets.bridges.get(platform) ?? row?.secret ?? null,
      attached: row ? { ...row, registrationFile: join(dir, 'registration.yaml') } : null,
      startCommand: startCommandOf({ platform, dir }),
      process: { isOurs, isGatewayUp: isRunning, notes: isOurs ? describeProcess(dir) : null },
      failedUpdate: row ? failedUpdate(row) : null,
      version: async () => (command ? programVersion(command, childEnvironment()) : null),
      isEmbedded: homeserver.isEmbedded,
      userId: `@${GATEWAY_APPSERVICE_ID}:${config.matrix.serverName}`,
      probe: createBridgeProbe(url),
      homeserver: homeserver.isEmbedded && !isRunning ? null : homeserver.probe,
      comesTo: async () => (db ? createArrivals(db).find({ platform }) : null),
      encryption: async () => ({
        setting: encryptionOf(dir),
        chats: db ? await createAttachedBridgeRepository(db).encryptedChats(platform) : 0,
      }),
      deviceStates: async () => (db ? createAttachedBridgeRepository(db).deviceStates(platform) : new Map()),
    }
  })
}

/** The operator may have changed the file since setup wrote it. */
function encryptionOf(dir: string): string | null {
  const file = join(dir, 'config.yaml')
  return existsSync(file) ? encryptionIn(readFileSync(file, 'utf8')) : null
}

async function clockEvidence({ db, homeserver }: Site) {
  const versions = homeserver.isEmbedded ? null : await homeserver.probe.versions()
  return {
    homeserverNow: versions !== null && 'date' in versions ? versions.date : null,
    newestRow: db ? await newestInstant(db) : null,
  }
}
