/** Bridges attached by `meshgate bridge add`: one for each platform. */
import { sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'

export const bridges = sqliteTable('bridges', {
  /** The platform's name in the API, lowercase: `wa`, `signal`, … */
  platform: text('platform').primaryKey(),
  /** Where the homeserver and we reach the bridge, without a trailing slash. */
  url: text('url').notNull(),
  /** Id of its application service. */
  registrationId: text('registration_id').notNull().unique(),
  senderLocalpart: text('sender_localpart').notNull(),
  botLocalpart: text('bot_localpart').notNull(),
  asTokenSealed: text('as_token_sealed').notNull(),
  hsTokenSealed: text('hs_token_sealed').notNull(),
  /** Shared secret of the provisioning API; null for a bridge without that API. */
  secretSealed: text('secret_sealed'),
  /** Users and aliases that belong to the bridge. */
  namespaces: text('namespaces', { mode: 'json' }).$type<BridgeNamespaces>().notNull(),
  /** Program and arguments the gateway runs; null when the bridge runs elsewhere. */
  command: text('command', { mode: 'json' }).$type<string[]>(),
  /** Version of the program, where we fetched it. */
  version: text('version'),
  /** A newer program that takes the place of `command` once it has become ready. */
  update: text('pending_update', { mode: 'json' }).$type<BridgeUpdate>(),
  /** Folder of the bridge's configuration and data. */
  dir: text('dir').notNull(),
  ...timestamps,
})

export interface BridgeNamespaces {
  users: { regex: string; exclusive: boolean }[]
  aliases?: { regex: string; exclusive: boolean }[]
}

export interface BridgeUpdate {
  command: string[]
  version: string
  /** Why the bridge went back to the program before; null while that isn't known. */
  failure: string | null
}

export type BridgeRow = typeof bridges.$inferSelect
