/**
 * Seals secrets at rest: AES-256-GCM under a key derived from SECRET_KEY. A sealed value is
 * `v1.<base64url of nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)>`.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

const VERSION = 'v1.'
const NONCE_BYTES = 12
const TAG_BYTES = 16

export type Sealer = ReturnType<typeof createSealer>

/**
 * @param secretKey SECRET_KEY as configured, any length
 * @param previousSecretKey values sealed under it can still be opened
 */
export function createSealer(secretKey: string, previousSecretKey?: string) {
  const key = deriveKey(secretKey, 'sealing')
  const previousKey = previousSecretKey === undefined ? undefined : deriveKey(previousSecretKey, 'sealing')
  return {
    /** @param context binds the value to its place (such as `webhook-secret:42`) */
    seal(plaintext: string, context: string): string {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
      const parts = [nonce, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()]
      return VERSION + Buffer.concat(parts).toString('base64url')
    },

    /** @throws Error when it was sealed under another key or context, or was altered */
    open(sealed: string, context: string): string {
      try {
        return opened(sealed, context, key)
      } catch (error) {
        if (previousKey === undefined) throw error
        return opened(sealed, context, previousKey)
      }
    },
  }
}

function opened(sealed: string, context: string, key: Buffer): string {
  const bytes = sealed.startsWith(VERSION) ? Buffer.from(sealed.slice(VERSION.length), 'base64url') : null
  if (!bytes || bytes.length < NONCE_BYTES + TAG_BYTES) throw new Error('not a sealed value')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
  const body = bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)
  return decipher.update(body, undefined, 'utf8') + decipher.final('utf8')
}

/** Derives a 32-byte key by HKDF-SHA256 (RFC 5869): each use of SECRET_KEY has its own. */
export function deriveKey(secretKey: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, 'meshgate', purpose, 32))
}

/** A keyed one-way function: lowercase hex HMAC-SHA256 (RFC 2104). */
export function createHmacHasher(key: Buffer): (text: string) => string {
  return text => createHmac('sha256', key).update(text).digest('hex')
}

/** Compares two texts in a time that depends on neither. */
export function equalInConstantTime(a: string, b: string): boolean {
  // Hashing first makes the lengths equal, so that the length doesn't leak.
  const digest = (text: string) => createHmac('sha256', 'equal').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
