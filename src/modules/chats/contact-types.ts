/** Contacts, as HTTP routes use them. */
import type { CheckView, ContactView, GroupView } from '../../domain/views/contact.ts'

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
