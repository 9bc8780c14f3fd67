/** The key under which a recipient of a device is one and the same, however it is written: it names the recipient's lane and their room. */
import type { Device } from '../../db/schema/index.ts'
import { groupKey, isMatrixUserId } from '../../domain/addresses.ts'
import type { RecipientKind } from '../../domain/states.ts'
import { contactKey, trimmed } from '../../lib/phone-numbers.ts'
import { phoneOfGhost } from '../contacts/ghosts.ts'

export function recipientKey(device: Device, kind: RecipientKind, written: string): string {
  const recipient = trimmed(written)
  if (kind === 'group') return `group:${groupKey(recipient)}`
  const phone = isMatrixUserId(recipient) ? phoneOfGhost(device, recipient) : null
  return `contact:${phone ?? contactKey(recipient)}`
}
