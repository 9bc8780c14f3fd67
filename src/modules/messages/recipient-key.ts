/**
 * The one key of a device's recipient, however it is written: it names the recipient's lane and
 * their room.
 */
import type { Device } from '../../db/schema/index.ts'
import { groupKey } from '../../domain/addresses.ts'
import type { RecipientKind } from '../../domain/states.ts'
import { contactKey, phoneDigits, trimmed } from '../../lib/phone-numbers.ts'
import type { PeoplesPhones } from '../contacts/phones.ts'

/** @param phones tell whose number an id stands for that isn't written as one */
export async function recipientKey(
  phones: Pick<PeoplesPhones, 'of'>,
  device: Device,
  kind: RecipientKind,
  written: string,
): Promise<string> {
  const recipient = trimmed(written)
  if (kind === 'group') return `group:${groupKey(recipient)}`
  const phone = phoneDigits(recipient) ?? (await phones.of(device, recipient))
  return `contact:${phone ?? contactKey(recipient)}`
}
