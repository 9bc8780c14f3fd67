/** Says in which lane a message or an act to a recipient waits. */
import type { Device } from '../../../db/schema/index.ts'
import type { RecipientKind } from '../../../domain/states.ts'
import type { Recipients } from '../recipients.ts'
import type { WaitingMessages } from './lane-repository.ts'

export interface LaneParts {
  recipients: Pick<Recipients, 'keyOf'>
  waiting: Pick<WaitingMessages, 'lanesOfPeople'>
}

/** @returns the lane in which a send to the recipient would wait now */
export async function laneOf(
  { recipients, waiting }: LaneParts,
  device: Device,
  kind: RecipientKind,
  recipient: string,
): Promise<string> {
  const key = await recipients.keyOf(device, kind, recipient)
  const [other] = await waiting.lanesOfPeople(device.id, [{ key, recipient }])
  return other ?? `${device.id}/${key}`
}
