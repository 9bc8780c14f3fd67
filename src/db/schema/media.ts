/** Files on disk: uploads waiting to be sent, and files that came with incoming messages. */
import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'

export const media = sqliteTable(
  'media',
  {
    /** Also the file's name below DATA_DIR/media. */
    id: text('id').primaryKey(),
    identityId: text('identity_id').notNull(),
    fileName: text('file_name').notNull(),
    mimeType: text('mime_type').notNull(),
    sizeBytes: integer('size_bytes').notNull(),
    width: integer('width').notNull(),
    height: integer('height').notNull(),
    durationMs: integer('duration_ms').notNull(),
    blurHash: text('blur_hash').notNull(),
    /** Loudness of equal parts of a voice message, 0 to 1024 each; null for anything else. */
    waveform: text('waveform', { mode: 'json' }).$type<number[]>(),
    /** Where it lies at the homeserver (mxc://…); null until it was uploaded there. */
    mxcUri: text('mxc_uri'),
    /**
     * True when the file is below DATA_DIR/media; false for an incoming one that isn't fetched yet.
     */
    stored: integer('stored', { mode: 'boolean' }).notNull(),
    ...timestamps,
  },
  // How much an identity's files take.
  table => [index('media_used').on(table.identityId, table.sizeBytes).where(sql`stored = 1`)],
)

export type Media = typeof media.$inferSelect
