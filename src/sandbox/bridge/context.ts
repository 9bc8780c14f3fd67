/** What every part of one platform's bridge works with. */
import type { Database } from 'bun:sqlite'
import type { Clock } from '../../lib/clock.ts'
import type { Committer } from '../../lib/group-commit.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Faults } from '../network/faults.ts'
import type { MediaFiles } from '../network/media.ts'
import type { Network } from '../network/network.ts'
import type { PlatformFacts } from '../platforms.ts'
import type { HomeserverClient } from './homeserver-client.ts'

export interface BridgeContext {
  facts: PlatformFacts
  database: Database
  committer: Committer
  network: Network
  files: MediaFiles
  faults: Faults
  homeserver: HomeserverClient
  clock: Clock
  logger: Logger
  botUserId: string
  /** Aborts when the bridge stops: nobody goes on waiting then. */
  stopping: AbortSignal
}

/** @returns the Matrix user that stands for an account of the network */
export function ghostUserId({ facts, homeserver }: BridgeContext, phone: string): string {
  return homeserver.userId(`${facts.networkId}_${facts.accountId(phone)}`)
}

/** @returns the phone that a ghost stands for, or null when the user is none */
export function phoneOfGhost({ facts, homeserver }: BridgeContext, userId: string): string | null {
  const prefix = `@${facts.networkId}_`
  const suffix = `:${homeserver.serverName}`
  if (!userId.startsWith(prefix) || !userId.endsWith(suffix)) return null
  return facts.phoneOfAccount(userId.slice(prefix.length, -suffix.length))
}

/** @returns whether the bridge itself speaks as this user */
export function isBridgeUser(context: BridgeContext, userId: string): boolean {
  return userId === context.botUserId || userId.startsWith(`@${context.facts.networkId}_`)
}
