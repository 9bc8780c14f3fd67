/** Differences between the simulated platforms: names, ids, login flows, invite links. */
import { createHash } from 'node:crypto'
import { existsOnNetwork } from './network/phone-number.ts'

export const SANDBOX_PLATFORMS = ['wa', 'signal', 'telegram'] as const
export type SandboxPlatform = (typeof SANDBOX_PLATFORMS)[number]

interface LoginFlow {
  id: 'qr' | 'phone'
  name: string
  description: string
}

/** In what one platform differs from the others. */
interface OwnFacts {
  displayName: string
  networkUrl: string
  commandPrefix: string
  flows: readonly LoginFlow[]
  /** Start of an invite link, before its code. */
  inviteBase: string
  /** A link in any usual form, with its code. */
  inviteLink: RegExp
  /** @returns the platform's own id for the account: login id, and ghost's localpart in groups */
  accountId(phone: string): string
  /** @returns the account's id for others in direct chats, and its ghost's localpart there */
  personId(phone: string): string
  /** The inverse, for either id; null when it is no account of this network. */
  phoneOf(id: string): string | null
  /** Id of a direct chat with the person, as in the bridge's m.bridge. */
  directChannelId(personId: string): string
  /** @param seed source of the new group's id */
  groupId(seed: string): string
  /** True where an account may be kept from writing to people who haven't written to it. */
  restrictsFirstMessages: boolean
  /** Limits of groups that its bridge makes, in characters; members without the maker. */
  groups: { nameRequired: boolean; maxNameLength: number; minMembers: number; maxMembers: number }
  /** True where the bridge makes members admins. */
  changesRoles: boolean
  /** Channels and status posts; null where the bridge tells of neither. */
  posts: {
    /** @param seed source of the new channel's id */
    channelId(seed: string): string
    /** Start of a channel's invite link, before its code. */
    inviteBase: string
  } | null
}

interface InvitedGroup {
  inviteCode: string
  kind: 'group' | 'channel' | 'status'
}

/** One platform as its bridge presents it. */
export interface PlatformFacts extends OwnFacts {
  platform: SandboxPlatform
  networkId: string
}

const QR_FLOW = (app: string): LoginFlow => ({
  id: 'qr',
  name: 'QR',
  description: `Scan a QR code with the ${app} app`,
})

const OWN: Record<SandboxPlatform, OwnFacts> = {
  wa: {
    displayName: 'WhatsApp',
    networkUrl: 'https://whatsapp.com',
    commandPrefix: '!wa',
    flows: [
      QR_FLOW('WhatsApp'),
      { id: 'phone', name: 'Pairing code', description: 'Type a code that this shows into the WhatsApp app' },
    ],
    inviteBase: 'https://chat.whatsapp.com/',
    inviteLink:
      /^(?:https?:\/\/)?(?:chat\.whatsapp\.com\/(?:invite\/)?|whatsapp\.com\/channel\/)([\w-]+)\/?(?:\?.*)?$/i,
    accountId: phone => phone,
    personId: phone => (hasHiddenId(phone) ? hiddenId(phone) : phone),
    phoneOf: id => existing(/^\d{5,15}$/.test(id) ? id : phoneOfHiddenId(id)),
    directChannelId: id =>
      isHiddenId(id) ? `${id.slice(HIDDEN_PREFIX.length)}@lid` : `${id}@s.whatsapp.net`,
    groupId: seed => `120363${decimalDigest(seed, 12)}@g.us`,
    restrictsFirstMessages: true,
    groups: { nameRequired: false, maxNameLength: 100, minMembers: 1, maxMembers: 1_023 },
    changesRoles: false,
    posts: {
      channelId: seed => `120363${decimalDigest(seed, 12)}@newsletter`,
      inviteBase: 'https://whatsapp.com/channel/',
    },
  },
  signal: {
    displayName: 'Signal',
    networkUrl: 'https://signal.org',
    commandPrefix: '!signal',
    flows: [QR_FLOW('Signal')],
    inviteBase: 'https://signal.group/#',
    inviteLink: /^(?:(?:https?:\/\/)?signal\.group\/|sgnl:\/\/signal\.group\/)#([\w=-]+)$/i,
    accountId: phoneToUuid,
    personId: phoneToUuid,
    phoneOf: id => existing(uuidToPhone(id)),
    directChannelId: id => id,
    groupId: seed =>
      createHash('sha256').update(seed).digest('base64').replaceAll('/', 'b').replaceAll('+', 'a'),
    restrictsFirstMessages: false,
    groups: { nameRequired: true, maxNameLength: 32, minMembers: 0, maxMembers: 1_000 },
    changesRoles: true,
    posts: null,
  },
  telegram: {
    displayName: 'Telegram',
    networkUrl: 'https://telegram.org',
    commandPrefix: '!tg',
    flows: [
      QR_FLOW('Telegram'),
      {
        id: 'phone',
        name: 'Phone number',
        description: 'Log in with a code that Telegram sends to the phone',
      },
    ],
    inviteBase: 'https://t.me/+',
    inviteLink: /^(?:https?:\/\/)?(?:t|telegram)\.me\/(?:\+|joinchat\/)([\w-]+)\/?$/i,
    // The leading 1 keeps a number's leading zeros.
    accountId: phone => `1${phone}`,
    personId: phone => `1${phone}`,
    phoneOf: id => existing(/^1\d{5,15}$/.test(id) ? id.slice(1) : null),
    directChannelId: id => `user:${id}`,
    groupId: seed => `channel:1${decimalDigest(seed, 9)}`,
    restrictsFirstMessages: false,
    groups: { nameRequired: true, maxNameLength: 255, minMembers: 1, maxMembers: 200 },
    changesRoles: false,
    posts: null,
  },
}

function factsOf(platform: SandboxPlatform): PlatformFacts {
  return { ...OWN[platform], platform, networkId: OWN[platform].displayName.toLowerCase() }
}

const FACTS: Record<SandboxPlatform, PlatformFacts> = {
  wa: factsOf('wa'),
  signal: factsOf('signal'),
  telegram: factsOf('telegram'),
}

export function platformFacts(platform: SandboxPlatform): PlatformFacts {
  return FACTS[platform]
}

/** @returns the invite link of a group or channel */
export function inviteLinkOf({ inviteBase, posts }: PlatformFacts, group: InvitedGroup): string {
  return `${(group.kind === 'channel' && posts?.inviteBase) || inviteBase}${group.inviteCode}`
}

/** @returns the invite code of a link in any usual form; null for other platforms' links */
export function inviteCodeOf({ inviteLink }: PlatformFacts, link: string): string | null {
  return inviteLink.exec(link.trim())?.[1] ?? null
}

function existing(phone: string | null): string | null {
  return phone !== null && existsOnNetwork(phone) ? phone : null
}

function decimalDigest(seed: string, digits: number): string {
  const value = BigInt(`0x${createHash('sha256').update(seed).digest('hex')}`)
  return (value % 10n ** BigInt(digits)).toString().padStart(digits, '0')
}

/**
 * Ids that hide the number must lead back to it without a table: multiplying modulo 2^60, which
 * can be undone, scrambles the number with a 1 before it.
 */
const SCRAMBLE = 0x9e3779b97f4a7c15n
const SPACE = 1n << 60n
const UNSCRAMBLE = inverse(SCRAMBLE)

function scrambled(phone: string): bigint {
  return (BigInt(`1${phone}`) * SCRAMBLE) % SPACE
}

function unscrambled(value: bigint): string | null {
  const phone = ((value * UNSCRAMBLE) % SPACE).toString().slice(1)
  return /^\d{5,15}$/.test(phone) && scrambled(phone) === value ? phone : null
}

/**
 * Since 2026 WhatsApp's bridge knows most people in direct chats by hidden ids (LIDs). Here numbers
 * ending with 3 or 6 have one, so that people meet both kinds every day.
 */
const HIDDEN_PREFIX = 'lid-'

function hasHiddenId(phone: string): boolean {
  return /[36]$/.test(phone)
}

function isHiddenId(id: string): boolean {
  return id.startsWith(HIDDEN_PREFIX)
}

function hiddenId(phone: string): string {
  return `${HIDDEN_PREFIX}${scrambled(phone)}`
}

/** @param id as the bridge writes it, or as the network does: `…@lid` */
function phoneOfHiddenId(id: string): string | null {
  const [, written, network] = /^(?:lid-(\d{1,19})|(\d{1,19})@lid)$/.exec(id) ?? []
  const digits = written ?? network
  const phone = digits === undefined ? null : unscrambled(BigInt(digits))
  return phone !== null && hasHiddenId(phone) ? phone : null
}

/**
 * A Signal account id is a UUID: the scrambled number fills its first 15 free digits, and a digest
 * the rest, which distinguishes it from other UUIDs.
 */
function phoneToUuid(phone: string): string {
  const hex = scrambled(phone).toString(16).padStart(15, '0')
  const digest = createHash('sha256').update(`signal:${phone}`).digest('hex')
  const [a, b, c] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12)]
  return `${a}-${b}-4${c}-8${digest.slice(0, 3)}-${digest.slice(3, 15)}`
}

function uuidToPhone(uuid: string): string | null {
  const parts = /^([\da-f]{8})-([\da-f]{4})-4([\da-f]{3})-8[\da-f]{3}-[\da-f]{12}$/.exec(uuid.toLowerCase())
  if (!parts) return null
  const phone = unscrambled(BigInt(`0x${parts[1]}${parts[2]}${parts[3]}`))
  return phone !== null && phoneToUuid(phone) === uuid.toLowerCase() ? phone : null
}

/** Inverse of the odd `factor` modulo 2^60 (Newton's iteration doubles the correct bits). */
function inverse(factor: bigint): bigint {
  let guess = factor
  for (let step = 0; step < 6; step++) guess = BigInt.asUintN(60, guess * (2n - factor * guess))
  return guess
}
