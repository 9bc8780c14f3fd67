/** Shared by all parts of one platform's bridge. */
import type { Database } from 'bun:sqlite'
import type { Clock } from '../../lib/clock.ts'
import type { Committer } from '../../lib/group-commit.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Faults } from '../network/faults.ts'
import type { MediaFiles } from '../network/media.ts'
import type { Network } from '../network/network.ts'
import type { Chat, Login } from '../network/types.ts'
import type { PlatformFacts } from '../platforms.ts'
import type { Writing } from './formatted-text.ts'
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
  /** Aborts when the bridge stops, which ends all waiting. */
  stopping: AbortSignal
}

/**
 * @param chat decides the ghost: people with a hidden id have one for direct chats, one for groups
 * @returns the Matrix user that represents an account of the network
 */
export function ghostUserId(context: BridgeContext, phone: string, chat: Pick<Chat, 'group'>): string {
  const { facts, homeserver } = context
  const id = chat.group ? facts.accountId(phone) : directId(context, phone)
  return homeserver.userId(`${facts.networkId}_${id}`)
}

/** @returns the account's id for others in direct chats */
export function directId(context: BridgeContext, phone: string): string {
  const { facts } = context
  return goesByNumber(context, phone) ? facts.accountId(phone) : facts.personId(phone)
}

/** True for an account with a hidden id whose direct chats haven't been moved to it. */
export function goesByNumber({ facts, network }: BridgeContext, phone: string): boolean {
  return facts.personId(phone) !== facts.accountId(phone) && network.store.phone(phone).chatsByNumber
}

/** Stands for any direct chat. */
export const DIRECT = { group: null }

/** @returns how a login's room names people: its user as themselves, others as their ghosts */
export function writingIn(context: BridgeContext, login: Login, chat: Chat): Writing {
  const { facts, network } = context
  return {
    platform: facts.platform,
    mentioned: phone => ({
      userId: phone === login.phone ? login.userId : ghostUserId(context, phone, chat),
      name: network.store.phone(phone).name,
    }),
  }
}

/** @returns the phone of a ghost, or null for any other user */
export function phoneOfGhost(context: BridgeContext, userId: string): string | null {
  const id = remoteIdOf(context, userId)
  return id === null ? null : context.facts.phoneOf(id)
}

/** @returns the id on the network of a ghost's account, or null for any other user */
export function remoteIdOf({ facts, homeserver }: BridgeContext, userId: string): string | null {
  const prefix = `@${facts.networkId}_`
  const suffix = `:${homeserver.serverName}`
  if (!userId.startsWith(prefix) || !userId.endsWith(suffix)) return null
  return userId.slice(prefix.length, -suffix.length)
}

/** @returns true for the bot and ghosts of this bridge */
export function isBridgeUser(context: BridgeContext, userId: string): boolean {
  return userId === context.botUserId || userId.startsWith(`@${context.facts.networkId}_`)
}
