/** Keeps the homeserver's name, a part of every stored user and room id, from changing. */
import { StartError } from '../../domain/errors.ts'
import type { IdentityRepository } from './identity-repository.ts'
import type { SettingsRepository } from './settings-repository.ts'

const SETTING = 'server_name'

/**
 * Remembers the name at the first start.
 * @throws StartError when the database belongs to another one
 */
export async function keepServerName(
  serverName: string,
  settings: SettingsRepository,
  identities: Pick<IdentityRepository, 'list'>,
): Promise<void> {
  const stored = await settings.find(SETTING)
  const known = stored ?? (await nameInUse(identities)) ?? serverName
  if (known !== serverName) {
    throw new StartError(
      `MATRIX_SERVER_NAME: this database belongs to "${known}"; set that name again, or start anew with an empty DATA_DIR`,
    )
  }
  if (stored === null) await settings.insert(SETTING, serverName)
}

/** Reads the name off the rows of a database that is older than the setting. */
async function nameInUse(identities: Pick<IdentityRepository, 'list'>): Promise<string | undefined> {
  const [first] = await identities.list()
  return first?.matrixUserId.replace(/^@[^:]*:/, '')
}
