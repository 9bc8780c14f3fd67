/**
 * Ids of the feed's events. An event's `seq` counts over all identities, so in clear it would show
 * each tenant how much the others receive. It is enciphered with a tag of the identity, which shows
 * ids of other feeds. An event always has the same id, by which readers recognise repeats.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { SettingsRepository } from '../tenants/settings-repository.ts'

/** An id is one block and nothing is chained, so ECB is enough. */
const CIPHER = 'aes-128-ecb'
const KEY_BYTES = 16
const BLOCK_BYTES = 16
const TAG_BYTES = 8
const MAX_TAGS_REMEMBERED = 1_000
const SETTING = 'feed_cursor_key'

export type Cursors = ReturnType<typeof createCursors>

/** @param key of 16 bytes */
export function createCursors(key: Buffer) {
  const tags = new LRUCache<string, Buffer, void>({ max: MAX_TAGS_REMEMBERED, memoMethod: tagOf })
  // Each update is a whole block, which leaves nothing in them for the next.
  const cipher = createCipheriv(CIPHER, key, null).setAutoPadding(false)
  const decipher = createDecipheriv(CIPHER, key, null).setAutoPadding(false)
  return {
    encode(identityId: string, seq: number): string {
      const block = Buffer.alloc(BLOCK_BYTES)
      block.writeBigUInt64BE(BigInt(seq))
      tags.memo(identityId).copy(block, BLOCK_BYTES - TAG_BYTES)
      return cipher.update(block).toString('base64url')
    },

    /** @returns null when it is no id of this identity's feed */
    decode(identityId: string, cursor: string): number | null {
      const enciphered = Buffer.from(cursor, 'base64url')
      if (enciphered.length !== BLOCK_BYTES || enciphered.toString('base64url') !== cursor) return null
      const block = decipher.update(enciphered)
      return block.subarray(BLOCK_BYTES - TAG_BYTES).equals(tags.memo(identityId))
        ? Number(block.readBigUInt64BE())
        : null
    },
  }
}

function tagOf(identityId: string): Buffer {
  return createHash('sha256').update(identityId).digest().subarray(0, TAG_BYTES)
}

type KeyStore = Pick<SettingsRepository, 'find' | 'insert'>

/**
 * Reads the key, or makes it at the first start. It stays for the life of the database, as a
 * reader's place must survive a new SECRET_KEY. Whoever has the database sees the events anyway.
 */
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
  // Writes only if there is no key: a full disk must not stop reading.
  const known = await settings.find(SETTING)
  if (known === null) await settings.insert(SETTING, randomBytes(KEY_BYTES).toString('hex'))
  const key = known ?? (await settings.find(SETTING))
  if (key === null) throw new Error('the key of the feed was not stored')
  return createCursors(Buffer.from(key, 'hex'))
}
