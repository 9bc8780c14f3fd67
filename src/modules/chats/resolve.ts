/** Resolves an address as people write it: a phone number, handle, network id or Matrix id. */
import type { Device } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { Bridge, BridgeContact } from '../../domain/ports.ts'
import { isGroupLink, isMatrixUserId } from '../../domain/written-recipients.ts'
import { normaliseContact, numberUriProblem, phoneDigits, trimmed } from '../../lib/phone-numbers.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'

/** Another way of writing the same address may do where these were the answer. */
const TRY_ANOTHER = ['not_found', 'bad_request', 'bridge_error']

/** @returns why nobody can go by this, null when somebody may */
export function contactProblem(written: string): string | null {
  // Nobody is called so, and in the path of a bridge's address it would name another call.
  if (/^\.{0,2}$/.test(trimmed(written))) return 'expected a phone number, a handle or an id'
  if (isGroupLink(trimmed(written)) && phoneDigits(written) === null)
    return 'expected a phone number, a handle or an id, not a link; that of a group is a group_url'
  return numberUriProblem(written)
}

/**
 * @returns the contact, and the way of writing by which the bridge knows them
 * @throws GatewayError not_found (nobody has it), bad_request (no address), and as bridges do
 */
export async function resolveContact(
  bridge: Bridge,
  device: Device,
  userId: string,
  written: string,
): Promise<{ contact: BridgeContact; identifier: string }> {
  const problem = contactProblem(written)
  if (problem !== null) throw new GatewayError('bad_request', problem)
  let first: unknown
  for (const identifier of waysToWrite(device, written)) {
    try {
      const contact = await bridge.resolveIdentifier(userId, device.loginId, identifier)
      return { contact, identifier }
    } catch (error) {
      first ??= error
      if (!(error instanceof GatewayError && TRY_ANOTHER.includes(error.code))) throw error
    }
  }
  throw first
}

/** Likeliest first. */
function waysToWrite(device: Device, written: string): string[] {
  const address = trimmed(written)
  if (isGroupLink(address)) return [normaliseContact(address)]
  if (!isMatrixUserId(address)) return [...new Set([normaliseContact(address), address])]
  // bridgev2 takes a ghost's Matrix id as it is; older bridges want the network's id in it.
  const naming = ghostNamingOf(device)
  const remoteId = remoteIdOf(address, naming)
  if (remoteId === null) return [address]
  return naming ? [remoteId, address] : [address, remoteId]
}
