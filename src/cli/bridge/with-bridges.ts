/** Opens the attached bridges beside a gateway that may be running. */
import type { Config, Secrets } from '../../config/index.ts'
import type { Db } from '../../db/open.ts'
import {
  type AttachedBridges,
  createAttachedBridges,
} from '../../modules/bridges-attached/bridges-attached.ts'
import { withKeyring } from '../database.ts'
import type { Terminal } from '../terminal.ts'

export function withBridges(
  terminal: Terminal,
  work: (bridges: AttachedBridges, more: { config: Config; secrets: Secrets; db: Db }) => Promise<void>,
): Promise<void> {
  return withKeyring(terminal, (db, { sealer }, settings) =>
    work(createAttachedBridges(db, sealer), { ...settings, db }),
  )
}
