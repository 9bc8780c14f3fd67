/** What of DATA_DIR is in a backup, and under which names: the archive has the same layout. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

export const DATABASE = 'meshgate.db'
/** Files that are written once and never changed. */
export const MEDIA_FOLDERS = ['media', 'homeserver-media', 'sandbox-media'] as const
/** Configurations, registrations and databases of bridge programs. */
export const BRIDGES_FOLDER = 'bridges'
export const MANIFEST = 'manifest.json'
/** The format of archives; a newer version may make others. */
export const FORMAT = 1

const FOLDERS: readonly string[] = [...MEDIA_FOLDERS, BRIDGES_FOLDER]

/** Whether a file of this name belongs into DATA_DIR: below one of our folders, and nowhere else whatever tricks it has. */
export function isBackedUpName(name: string): boolean {
  if (name === DATABASE) return true
  const [folder = '', ...rest] = name.split('/')
  if (!FOLDERS.includes(folder) || rest.length === 0) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name may have none of them
  return rest.every(part => part !== '' && part !== '.' && part !== '..' && !/[\\\u0000-\u001f]/.test(part))
}

/** The last file of an archive: whatever comes before it and isn't as it says was damaged, and without it the archive was cut off. */
export const manifestSchema = z.object({
  format: z.literal(FORMAT),
  created_at: z.string(),
  /** The program that wrote it. */
  meshgate: z.string(),
  /** MATRIX_SERVER_NAME. */
  server_name: z.string(),
  /** Of SECRET_KEY, which isn't in the backup: whether it is the same, and nothing else. */
  secret_key_check: z.string(),
  files: z.array(z.object({ name: z.string(), size: z.number(), sha256: z.string() })),
})
export type Manifest = z.infer<typeof manifestSchema>

/** A folder within DATA_DIR, so on the same disk: files come into it, and out of it, without being copied. */
export async function withFolder<T>(
  dataDir: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(dataDir, name)
  try {
    return await use(path)
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
