/** Files on disk: uploads waiting to be sent, and files of incoming messages. */
import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { timestamps } from './columns.ts'

export const media = sqliteTable(
  'media',
  {
    /** Also the file's name in DATA_DIR/media. */
    id: text('id').primaryKey(),
    identityId: text('identity_id').notNull(),
    fileName: text('file_name').notNull(),
    mimeType: text('mime_type').notNull(),
    sizeBytes: integer('size_bytes').notNull(),
    width: integer('width').notNull(),
    height: integer('height').notNull(),
    durationMs: integer('duration_ms').notNull(),
    blurHash: text('blur_hash').notNull(),
    /** Loudness of equal parts of a voice message, 0 to 1024 each; null otherwise. */
    waveform: text('waveform', { mode: 'json' }).$type<number[]>(),
    /** Address at the homeserver (mxc://…); null until uploaded there. */
    mxcUri: text('mxc_uri'),
    /** True when the file is in DATA_DIR/media; false for an incoming one not fetched yet. */
    stored: integer('stored', { mode: 'boolean' }).notNull(),
    /** Where a file of a send is still to be fetched; null otherwise. */
    sourceUrl: text('source_url'),
    ...timestamps,
  },
  table => [
    // For the sum of an identity's files.
    index('media_used').on(table.identityId, table.sizeBytes).where(sql`stored = 1`),
    index('media_awaited').on(table.identityId, table.createdAt).where(sql`source_url is not null`),
  ],
)

export type Media = typeof media.$inferSelect
