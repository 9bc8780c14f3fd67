/**
 * The sandbox: a phone network that exists only in this process, with a bridge for each platform.
 *
 * A homeserver and device linking see ordinary bridges; people see a page with phones. The sandbox
 * needs only a homeserver and a place for its data, and knows nothing else of the program.
 */
import type { Database } from 'bun:sqlite'
import type { ForgottenRows } from '../lib/aged-rows.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Committer } from '../lib/group-commit.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import { createEventStream } from './api/events.ts'
import { createRouter } from './api/router.ts'
import { createBridge, type ReportState, type SandboxBridge } from './bridge/bridge.ts'
import type { HomeserverConnection } from './bridge/homeserver-client.ts'
import { createLinkCodes } from './bridge/link-codes.ts'
import { createFaults } from './network/faults.ts'
import { createMediaFiles } from './network/media.ts'
import { createNetwork } from './network/network.ts'
import { forgetFiles, forgetMessages } from './network/retention.ts'
import { seedNetwork } from './network/seed.ts'
import { createNetworkStore } from './network/store.ts'
import type { SandboxPlatform } from './platforms.ts'

export type { ReportState, SandboxBridge } from './bridge/bridge.ts'
export type { SandboxPlatform } from './platforms.ts'

export interface SandboxOptions {
  /** Open and migrated. */
  database: Database
  committer: Committer
  /** Folder for the network's files; created when missing. */
  mediaDir: string
  /** The program's URL for people, such as `http://localhost:8080`, without a trailing slash. */
  baseUrl: () => string
  homeserver: HomeserverConnection
  /** Optional listener for login states. */
  reportState?: ReportState
  /** Platforms to simulate. */
  platforms: readonly SandboxPlatform[]
  maxUploadBytes: number
  clock?: Clock
  logger?: Logger
}

export interface Sandbox {
  bridges: SandboxBridge[]
  /** Serves /sandbox and everything below it. */
  fetch(request: Request): Promise<Response>
  /** Removes files left by a kill. Call it before the first request. */
  sweep(): Promise<void>
  /**
   * Forgets some old messages.
   * @param after the position at which the last step ended
   * @param before in milliseconds since 1970
   */
  forget(after: number, before: number): Promise<ForgottenRows>
  /**
   * Removes files older than `before` that no younger message has; their messages stay.
   * @param before in milliseconds since 1970
   * @param signal ends it early
   * @returns how many were removed
   */
  forgetFiles(before: number, signal: AbortSignal): Promise<number>
  /** Call it once the bridges are registered with the homeserver. */
  start(): void
  /** Ends a platform's bridge for good, because another serves the platform. Its phones stay. */
  retire(platform: string): Promise<void>
  stop(): Promise<void>
}

export function createSandbox(options: SandboxOptions): Sandbox {
  const {
    database,
    committer,
    platforms,
    homeserver,
    baseUrl,
    reportState = () => {},
    clock = systemClock,
    logger = silentLogger,
  } = options
  const store = createNetworkStore(database)
  const network = createNetwork(store, committer, clock)
  const files = createMediaFiles(options.mediaDir, options.maxUploadBytes)
  const faults = createFaults(() => clock.now())
  const codes = createLinkCodes()
  const shared = { network, files, faults, codes }
  const parts = { ...shared, database, committer, homeserver, baseUrl, reportState, clock, logger }
  const bridges = platforms.map(platform => createBridge(platform, parts))
  const events = createEventStream(network)
  const router = createRouter({ ...shared, platforms }, events, logger)
  const seeded = seedNetwork(store, committer, clock.now())
  seeded.catch(error => logger.error({ err: error }, 'the sandbox could not be filled with its first phones'))

  return {
    bridges,
    forgetFiles: (before, signal) => forgetFiles({ store, committer, files }, before, signal),
    async fetch(request) {
      await seeded
      return router.fetch(request)
    },
    sweep: () => files.sweep(mediaId => store.media(mediaId) !== undefined),
    forget: (after, before) => committer.write(() => forgetMessages(store, after, before)),
    start() {
      for (const bridge of bridges) bridge.start()
    },
    async retire(platform) {
      const index = bridges.findIndex(bridge => bridge.platform === platform)
      await bridges.splice(index, index === -1 ? 0 : 1)[0]?.stop()
    },
    async stop() {
      events.stop()
      await Promise.all(bridges.map(bridge => bridge.stop()))
    },
  }
}
