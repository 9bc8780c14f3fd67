/** Contacts, as HTTP routes use them. */
import type { ChatKind } from '../../domain/states.ts'

export interface ContactView {
  /** On the network; usable as `contact` of a message, as phone and matrix_id are. */
  id: string
  name: string
  /** Digits; null where the network tells none. */
  phone: string | null
  matrix_id: string | null
  /** The Matrix room of the chat with them, null while there is none. */
  room: string | null
  /** URIs by which they can be found as well, such as tel:+237… */
  identifiers: string[]
}

export interface GroupView {
  /** Usable as `group_url` of a message. */
  id: string
  name: string
  kind: ChatKind
  room: string
}

export type CheckView =
  | ({ exists: true } & ContactView)
  | { exists: false; id: null; name: null; phone: null; matrix_id: null; room: null; identifiers: [] }

export interface Directory {
  /**
   * By name.
   * @param limit at most so many
   * @throws GatewayError not_found (no such device), not_supported (the network lists nobody, and
   * can't be searched without a query), and as bridges do
   */
  contacts(
    identityId: string,
    deviceId: string,
    options: { platform: string | null; query?: string | undefined; limit: number },
  ): Promise<ContactView[]>
  /**
   * Groups that the device is in and can write to, by name.
   * @throws GatewayError not_found (no such device), conflict (logged out)
   */
  groups(identityId: string, deviceId: string, platform: string | null): Promise<GroupView[]>
  /**
   * Tells if somebody on the network answers to a phone number, a handle or an id.
   * @throws GatewayError not_found (no such device), conflict (logged out), bad_request (the
   * network can't know it), not_supported, and as bridges do
   */
  check(identityId: string, deviceId: string, platform: string | null, identifier: string): Promise<CheckView>
}
