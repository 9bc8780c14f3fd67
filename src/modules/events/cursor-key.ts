/**
 * The key that ids of the feed are enciphered with. It is made at the first start and stays for the life of the database: a reader's place must
 * survive a new SECRET_KEY. It keeps no secret from whoever has the database, who sees the events themselves.
 */
import { randomBytes } from 'node:crypto'
import { CURSOR_KEY_BYTES, type Cursors, createCursors } from './cursor.ts'

const SETTING = 'feed_cursor_key'

/** What it is kept in. */
export interface KeyStore {
  find(name: string): Promise<string | null>
  /** Leaves a value that is there as it is. */
  insert(name: string, value: string): Promise<void>
}

export function createStoredCursors(settings: KeyStore): () => Promise<Cursors> {
  let cursors: Promise<Cursors> | undefined
  return () => {
    cursors ??= load(settings).catch(error => {
      cursors = undefined
      throw error
    })
    return cursors
  }
}

async function load(settings: KeyStore): Promise<Cursors> {
  // Nothing is written where it is there: a full disk is no reason not to read.
  const known = await settings.find(SETTING)
  if (known === null) await settings.insert(SETTING, randomBytes(CURSOR_KEY_BYTES).toString('hex'))
  const key = known ?? (await settings.find(SETTING))
  if (key === null) throw new Error('the key of the feed was not stored')
  return createCursors(Buffer.from(key, 'hex'))
}
