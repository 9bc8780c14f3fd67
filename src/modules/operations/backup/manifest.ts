/**
 * The manifest of a backup: the files of DATA_DIR that are in it, and the proof who made it. The
 * manifest has the digest of every file and ends with an HMAC under a key derived from SECRET_KEY:
 * the gateway runs parts of a backup after a restore (the commands of bridges), so somebody who can
 * write to where backups are kept must not be able to change one.
 */
import { z } from 'zod'
import { createHmacHasher, deriveKey, equalInConstantTime } from '../../../lib/sealing.ts'

export const DATABASE = 'meshgate.db'
/** Files that are written once and never changed. */
export const MEDIA_FOLDERS = ['media', 'homeserver-media', 'sandbox-media'] as const
/** Configurations, registrations and databases of bridge programs. */
export const BRIDGES_FOLDER = 'bridges'
export const MANIFEST = 'manifest.json'
/** The format of archives; a newer version may make others. */
export const FORMAT = 1

const FOLDERS: readonly string[] = [...MEDIA_FOLDERS, BRIDGES_FOLDER]

/** True for a name below one of our folders in DATA_DIR, whatever tricks it has. */
export function isBackedUpName(name: string): boolean {
  if (name === DATABASE) return true
  const [folder = '', ...rest] = name.split('/')
  if (!FOLDERS.includes(folder) || rest.length === 0) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name may have none of them
  return rest.every(part => part !== '' && part !== '.' && part !== '..' && !/[\\\u0000-\u001f]/.test(part))
}

/** The last file of an archive: without it the archive was cut off. */
export const manifestSchema = z.object({
  format: z.literal(FORMAT),
  created_at: z.string(),
  /** The program that wrote it. */
  meshgate: z.string(),
  /** MATRIX_SERVER_NAME. */
  server_name: z.string(),
  /** Tells if SECRET_KEY is the same, and nothing else of it. */
  secret_key_check: z.string(),
  files: z.array(z.object({ name: z.string(), size: z.number(), sha256: z.string() })),
})
export type Manifest = z.infer<typeof manifestSchema>

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
 * @param keyOfBackup its check of the key that it was made with, see keyCheck
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
