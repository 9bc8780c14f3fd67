/**
 * The one key of a device's recipient, however it is written: it names the recipient's lane and
 * their room.
 */
import type { Device } from '../../db/schema/index.ts'
import { groupKey } from '../../domain/addresses.ts'
import type { RecipientKind } from '../../domain/states.ts'
import { contactKey, phoneDigits, trimmed } from '../../lib/phone-numbers.ts'
import type { PeoplesPhones } from '../chats/phones.ts'

/** By which a recipient's messages may wait. */
export interface PersonKeys {
  /** The contact as it is written now, in its one spelling. */
  written: string
  /** Digits; other ids that are known to stand for the same number are looked up by it. */
  phone: string
}

/**
 * A number may have become known while messages wait under an id that stands for it.
 * @param key as `recipientKey` tells it
 * @returns null where no other key can mean the same recipient
 */
export function personKeys(key: string, recipient: string): PersonKeys | null {
  const phone = /^contact:(\d+)$/.exec(key)?.[1]
  return phone === undefined ? null : { written: contactKey(recipient), phone }
}

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
