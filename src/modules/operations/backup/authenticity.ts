/**
 * Proves who made a backup: its manifest, which has the digest of every file, ends with an HMAC
 * under a key derived from SECRET_KEY. The gateway runs parts of a backup after a restore (the
 * commands of bridges), so somebody who can write to where backups are kept must not be able to
 * change one.
 */
import { createHmacHasher, deriveKey, equalInConstantTime } from '../../../lib/sealing.ts'

/**
 * `key`: another SECRET_KEY made it. `missing`: an earlier version made it, or somebody took the
 * proof away.
 */
export type Authenticity = 'proven' | 'changed' | 'key' | 'missing'

const MAC = /,"mac":"([0-9a-f]{64})"\}$/

/** @param manifest JSON of an object with something in it */
export function signed(manifest: string, secretKey: string): string {
  return `${manifest.slice(0, -1)},"mac":"${macOf(manifest, secretKey)}"}`
}

/**
 * @param text the manifest as it stands in the archive
 * @param keyOfBackup what it says of the key that it was made with, see keyCheck
 */
export function authenticityOf(
  text: string,
  keyOfBackup: string,
  secretKeys: readonly string[],
): Authenticity {
  const mac = MAC.exec(text)
  if (!mac) return 'missing'
  const manifest = `${text.slice(0, mac.index)}}`
  if (secretKeys.some(key => equalInConstantTime(macOf(manifest, key), mac[1] ?? ''))) return 'proven'
  return secretKeys.some(key => keyCheck(key) === keyOfBackup) ? 'changed' : 'key'
}

/** Tells whether two keys are the same, and nothing of either. */
export function keyCheck(secretKey: string): string {
  return createHmacHasher(deriveKey(secretKey, 'backup-key-check'))('meshgate').slice(0, 16)
}

function macOf(manifest: string, secretKey: string): string {
  return createHmacHasher(deriveKey(secretKey, 'backup-manifest'))(manifest)
}
