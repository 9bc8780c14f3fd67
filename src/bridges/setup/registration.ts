/**
 * The registration of a bridge's application service, as the bridge's `-g` would write it: bot and
 * ghosts are exclusive users; the bot is the sender.
 * @see https://spec.matrix.org/v1.12/application-service-api/#registration
 */
import { stringify } from 'yaml'
import { quoteMeta } from '../../lib/quote-meta.ts'

export interface Namespace {
  regex: string
  exclusive: boolean
}

export interface Registration {
  id: string
  url: string
  asToken: string
  hsToken: string
  senderLocalpart: string
  namespaces: { users: Namespace[]; aliases?: Namespace[] }
}

/** Placeholder for the network's id: `{{.}}` (Go), `{userid}` (Python). */
const PLACEHOLDER = /\{\{[^}]*\}\}|\{[^}]*\}/

/**
 * @param usernameTemplate localpart of ghosts, with a placeholder for the network's id
 * @param aliasTemplate localpart of room aliases, in bridges that have them
 */
export function bridgeNamespaces(
  serverName: string,
  botLocalpart: string,
  usernameTemplate: string,
  aliasTemplate?: string,
): Registration['namespaces'] {
  const server = quoteMeta(serverName)
  const users = [
    { regex: `^@${quoteMeta(botLocalpart)}:${server}$`, exclusive: true },
    { regex: `^@${templatePattern(usernameTemplate)}:${server}$`, exclusive: true },
  ]
  if (aliasTemplate === undefined) return { users }
  return { users, aliases: [{ regex: `^#${templatePattern(aliasTemplate)}:${server}$`, exclusive: true }] }
}

export function hasPlaceholder(template: string): boolean {
  return PLACEHOLDER.test(template)
}

export function registrationYaml(registration: Registration): string {
  return stringify(
    {
      id: registration.id,
      url: registration.url,
      as_token: registration.asToken,
      hs_token: registration.hsToken,
      sender_localpart: registration.senderLocalpart,
      rate_limited: false,
      namespaces: registration.namespaces,
      // Both names: homeservers from before the specification's name only know the first.
      'de.sorunome.msc2409.push_ephemeral': true,
      receive_ephemeral: true,
    },
    { indent: 4, lineWidth: 0 },
  )
}

function templatePattern(template: string): string {
  return template.split(PLACEHOLDER).map(quoteMeta).join('.*')
}
