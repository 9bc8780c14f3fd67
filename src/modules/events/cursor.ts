/**
 * Ids of the feed's events. What they stand for, an event's `seq`, counts over all identities: in clear it would tell each tenant how much the others
 * receive. So it is enciphered, together with a tag of the identity, which also makes ids of other feeds recognisable. The same event has
 * the same id each time, by which readers can tell what they have already.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'

/** One block, which is why ECB will do: nothing is ever chained. */
const CIPHER = 'aes-128-ecb'
const BLOCK_BYTES = 16
const TAG_BYTES = 8
export const CURSOR_KEY_BYTES = 16

export interface Cursors {
  encode(identityId: string, seq: number): string
  /** @returns null when it is no id of this identity's feed */
  decode(identityId: string, cursor: string): number | null
}

export function createCursors(key: Buffer): Cursors {
  return {
    encode(identityId, seq) {
      const block = Buffer.alloc(BLOCK_BYTES)
      block.writeBigUInt64BE(BigInt(seq))
      tagOf(identityId).copy(block, BLOCK_BYTES - TAG_BYTES)
      const cipher = createCipheriv(CIPHER, key, null).setAutoPadding(false)
      return Buffer.concat([cipher.update(block), cipher.final()]).toString('base64url')
    },
    decode(identityId, cursor) {
      const enciphered = Buffer.from(cursor, 'base64url')
      if (enciphered.length !== BLOCK_BYTES || enciphered.toString('base64url') !== cursor) return null
      const decipher = createDecipheriv(CIPHER, key, null).setAutoPadding(false)
      const block = Buffer.concat([decipher.update(enciphered), decipher.final()])
      return block.subarray(BLOCK_BYTES - TAG_BYTES).equals(tagOf(identityId))
        ? Number(block.readBigUInt64BE())
        : null
    },
  }
}

function tagOf(identityId: string): Buffer {
  return createHash('sha256').update(identityId).digest().subarray(0, TAG_BYTES)
}
