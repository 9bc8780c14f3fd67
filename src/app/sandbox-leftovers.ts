/**
 * Handles the sandbox's leftovers: devices whose phones nobody has, once a real bridge has taken
 * its place; and a sandbox that production has by accident. With SANDBOX=on it is there on purpose,
 * and the log says so. Without, devices that a development left in this DATA_DIR would look like
 * phones that are away, and messages to them would wait for nobody.
 */
import type { Config } from '../config/index.ts'
import type { Db } from '../db/open.ts'
import { sqlStatement } from '../db/statement.ts'
import { StartError } from '../domain/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { AttachedBridge } from '../modules/bridges-attached/bridges-attached.ts'
import type { LinkedDevices } from '../modules/devices/devices.ts'
import {
  FORGET_LINKED_PHONES,
  LINKED_LOGINS,
  LINKED_PHONES,
  type LinkedLogin,
  type LinkedPhone,
} from '../sandbox/linked-phones.ts'

const linkedPhones = sqlStatement<LinkedPhone>(LINKED_PHONES)
const linkedLogins = sqlStatement<LinkedLogin>(LINKED_LOGINS)
const forgetLinkedPhones = FORGET_LINKED_PHONES.map(text => sqlStatement(text))

/**
 * @param played platforms that the sandbox plays
 * @param bridged platforms with a real bridge, which has taken the sandbox's place
 * @throws StartError when simulated devices would be left without it
 */
export async function refuseAccidentalSandbox(
  { mode }: Pick<Config, 'mode'>,
  db: Pick<Db, 'read'>,
  { played, bridged }: { played: readonly string[]; bridged: readonly string[] },
  logger: Pick<Logger, 'warn'>,
): Promise<void> {
  if (mode !== 'production') return
  if (played.length > 0) {
    logger.warn(
      { platforms: played },
      'SANDBOX=on in production: these platforms are simulated, nothing reaches a real phone, and /sandbox is open to whoever reaches it',
    )
  }
  const cared = new Set([...played, ...bridged])
  const linked = await db.read(reader => reader.all(linkedPhones))
  const left = linked.filter(({ platform }) => !cared.has(platform))
  if (left.length === 0) return
  const named = left.slice(0, 3).map(({ platform, phone }) => `${phone} of ${platform}`)
  if (left.length > named.length) named.push(`and ${left.length - named.length} more`)
  throw new StartError(
    `SANDBOX: this DATA_DIR has linked phones of the sandbox (${named.join(', ')}), and production runs without them; delete these devices in development, use another DATA_DIR, or set SANDBOX=on`,
  )
}

const WAS_SIMULATED = 'it was a simulated phone, and a real bridge has taken the place of the sandbox'

/**
 * A real bridge has taken the sandbox's place: the phones that were linked there are none of the
 * new network's. The same number may have been linked for real since then, and that device stays.
 */
export async function removeSimulatedDevices(
  { platform, createdAt: attachedAt }: Pick<AttachedBridge, 'platform' | 'createdAt'>,
  db: Pick<Db, 'read' | 'write'>,
  devices: Pick<LinkedDevices, 'discard'>,
  logger: Pick<Logger, 'info'>,
): Promise<void> {
  const logins = await db.read(reader => reader.all(linkedLogins, { platform }))
  if (logins.length === 0) return
  for (const { userId, loginId } of logins)
    await devices.discard(platform, userId, loginId, { linkedBefore: attachedAt, reason: WAS_SIMULATED })
  await db.write(async tx => {
    for (const query of forgetLinkedPhones) await tx.run(query, { platform })
  })
  logger.info({ platform, devices: logins.length }, 'simulated devices were removed')
}
