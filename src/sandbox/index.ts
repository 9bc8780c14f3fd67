/**
 * The sandbox: a phone network that exists only in this process, with a bridge for each platform.
 *
 *     people ──▶ page ──▶ api ──▶ ┌─────────┐ ──▶ bridge/deliveries ────▶ homeserver
 *                                 │ network │
 *              bridge/login-* ──▶ └─────────┘ ◀── bridge/transactions ◀── homeserver
 *                    ▲
 *     device linking ┴ bridge/provisioning, bridge/commands (by conversation with the bot)
 *
 * Messages, reads and changes of chats are rows, and come to rooms in the order they were made;
 * typing is told once (bridge/ephemeral).
 *
 * `network` has the rules (who receives, who echoes, who is linked), and knows no Matrix. `bridge`
 * is the Matrix side of one platform; `platforms` says in what they differ. `api` and `page` are
 * what people see. A homeserver and device linking see ordinary bridges. The sandbox needs only a
 * homeserver and a place for its data, and knows nothing else of the program.
 */
import type { Database } from 'bun:sqlite'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Committer } from '../lib/group-commit.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import { createRouter } from './api/api.ts'
import { createEventStream } from './api/events.ts'
import { createBridge, type ReportState, type SandboxBridge } from './bridge/bridge.ts'
import type { HomeserverConnection } from './bridge/homeserver-client.ts'
import { createLinkCodes } from './bridge/link-codes.ts'
import { createFaults } from './network/faults.ts'
import { MediaFiles } from './network/media.ts'
import { createNetwork } from './network/network.ts'
import { forgetFiles, forgetMessages } from './network/retention.ts'
import { seedNetwork } from './network/seed.ts'
import { createNetworkStore } from './network/store.ts'
import type { SandboxPlatform } from './platforms.ts'

export type { ReportState } from './bridge/bridge.ts'
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

export type Sandbox = ReturnType<typeof createSandbox>

export function createSandbox(options: SandboxOptions) {
  const { database, committer, platforms, clock = systemClock, logger = silentLogger } = options
  const store = createNetworkStore(database)
  const network = createNetwork(store, committer, clock)
  const files = new MediaFiles(options.mediaDir, options.maxUploadBytes)
  const faults = createFaults(() => clock.now())
  const codes = createLinkCodes()
  const shared = { network, files, faults, codes }
  const parts = { reportState: () => {}, ...options, ...shared, clock, logger }
  const bridges = platforms.map(platform => createBridge(platform, parts))
  const events = createEventStream(network)
  const router = createRouter({ ...shared, platforms }, events, logger)
  const seeded = seedNetwork(store, committer, clock.now())
  seeded.catch(error => logger.error({ err: error }, 'the sandbox could not be filled with its first phones'))

  return {
    bridges: bridges as readonly SandboxBridge[],
    /** Serves /sandbox and everything below it. */
    async fetch(request: Request): Promise<Response> {
      await seeded
      return router.fetch(request)
    },
    /** Removes files left by a kill. Call it before the first request. */
    sweep: () => files.sweep(mediaId => store.media(mediaId) !== undefined),
    /**
     * Forgets some old messages.
     * @param after the position at which the last step ended
     * @param before in milliseconds since 1970
     */
    forget: (after: number, before: number) => committer.write(() => forgetMessages(store, after, before)),
    /**
     * Removes files older than `before` that no younger message has; their messages stay.
     * @param before in milliseconds since 1970
     * @param signal ends it early
     * @returns how many were removed
     */
    forgetFiles: (before: number, signal: AbortSignal) =>
      forgetFiles({ store, committer, files }, before, signal),
    /** Call it once the bridges are registered with the homeserver. */
    start(): void {
      for (const bridge of bridges) bridge.start()
    },
    /** Ends a platform's bridge for good, because another serves the platform. Its phones stay. */
    async retire(platform: string): Promise<void> {
      const index = bridges.findIndex(bridge => bridge.platform === platform)
      await bridges.splice(index, index === -1 ? 0 : 1)[0]?.stop()
    },
    async stop(): Promise<void> {
      events.stop()
      await Promise.all(bridges.map(bridge => bridge.stop()))
    },
  }
}
