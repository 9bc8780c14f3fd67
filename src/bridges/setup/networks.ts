/**
 * Facts about well-known bridges: their programs, and the names in their example configurations. A
 * bridge's own example wins; other platforms work, too.
 */
import type { Layout } from './config-file.ts'

export interface KnownNetwork {
  /** File name of the bridge program. */
  program: string
  /** Id of the application service, from which bot and ghosts get their names. */
  id: string
  /** Port in the bridge's example. */
  port: number
  /** Where its program is released, on GitHub; none for those that are installed otherwise. */
  release?: {
    repository: string
    /** The tag that this version of Meshgate was tried with; null: none, the newest is taken. */
    tried: string | null
  }
  /** True when the names in the program's example are another network's. */
  hasOwnNames?: true
  /** Settings of its own, for versions of the program that have them. */
  settings?: Readonly<Record<string, unknown>>
  /** Further settings where messages from before a link are wanted. */
  history?: Readonly<Record<string, unknown>>
  /** Settings only the operator knows, their section in each layout, and their source. */
  needs?: { section: Readonly<Record<Layout, string>>; names: readonly string[]; from: string }
}

/** The licence of all mautrix bridges, which are programs of their own. */
export const BRIDGE_LICENCE = 'AGPL-3.0'

/** A mautrix bridge whose program, repository and id have the network's name. */
function mautrix(id: string, port: number, tried: string | null = null): KnownNetwork {
  return { program: `mautrix-${id}`, id, port, release: { repository: `mautrix/${id}`, tried } }
}

/** Polls as events of their type, without a text for clients that don't know polls. */
const POLLS = { 'network.extev_polls': true }

const whatsapp: KnownNetwork = {
  ...mautrix('whatsapp', 29318, 'v0.2607.0'),
  settings: {
    ...POLLS,
    // Without it, a restart loses what recipients ask to have sent again.
    'network.use_whatsapp_retry_store': true,
    // Only those who ask for these events get them.
    'network.call_start_notices': true,
    'network.enable_status_broadcast': true,
  },
  history: {
    // The phone is asked for what it didn't send at the link.
    'network.history_sync.backwards_on_demand': true,
    // Each old file that is gone from the network would be asked of the phone.
    'network.history_sync.media_requests.auto_request_media': false,
  },
}
const gmessages = mautrix('gmessages', 29336, 'v0.2605.0')
/** Messenger and Instagram share a repository; with their own names both can be attached. */
const meta = (id: string, program: string): KnownNetwork => ({
  ...mautrix('meta', 29319),
  program,
  id,
  hasOwnNames: true,
})
/** The program served Instagram as well, up to v26.07. */
const facebook = { ...meta('facebook', 'mautrix-meta'), settings: { 'network.mode': 'facebook' } }

const KNOWN: Readonly<Record<string, KnownNetwork>> = {
  wa: whatsapp,
  whatsapp,
  signal: { ...mautrix('signal', 29328), settings: POLLS },
  telegram: {
    ...mautrix('telegram', 29317),
    // The Python bridge, from before 2026, keeps them elsewhere.
    needs: {
      section: { bridgev2: 'network', 'legacy-go': 'network', 'legacy-python': 'telegram' },
      names: ['api_id', 'api_hash'],
      from: 'https://my.telegram.org/apps',
    },
  },
  meta: mautrix('meta', 29319),
  facebook,
  messenger: facebook,
  instagram: meta('instagram', 'mautrix-instagram'),
  gmessages,
  sms: gmessages,
  discord: mautrix('discord', 29334),
  slack: mautrix('slack', 29335),
  twitter: mautrix('twitter', 29327),
  bluesky: mautrix('bluesky', 29340),
  gvoice: mautrix('gvoice', 29338),
  // Written in Python: there is no program to fetch.
  googlechat: { program: 'mautrix-googlechat', id: 'googlechat', port: 29320 },
  linkedin: mautrix('linkedin', 29341, 'v0.2604.0'),
  zulip: mautrix('zulip', 29342),
}

export const KNOWN_NETWORKS: readonly KnownNetwork[] = [...new Set(Object.values(KNOWN))]

/** Platforms that are known by name; a network may have several. */
export const NETWORK_NAMES: readonly string[] = Object.keys(KNOWN)

export function knownNetwork(platform: string): KnownNetwork | undefined {
  return Object.hasOwn(KNOWN, platform) ? KNOWN[platform] : undefined
}
