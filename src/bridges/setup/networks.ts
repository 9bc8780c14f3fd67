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
  /** Additional settings for running the program on this platform. */
  settings?: Readonly<Record<string, string>>
  /** Settings only the operator knows, their section in each layout, and their source. */
  needs?: { section: Readonly<Record<Layout, string>>; names: readonly string[]; from: string }
}

const whatsapp: KnownNetwork = { program: 'mautrix-whatsapp', id: 'whatsapp', port: 29318 }
const gmessages: KnownNetwork = { program: 'mautrix-gmessages', id: 'gmessages', port: 29336 }
/** One program for several networks: each has its mode and name, so that both can be attached. */
const meta = (id: string): KnownNetwork => ({
  program: 'mautrix-meta',
  id,
  port: 29319,
  settings: { 'network.mode': id },
})

const KNOWN: Readonly<Record<string, KnownNetwork>> = {
  wa: whatsapp,
  whatsapp,
  signal: { program: 'mautrix-signal', id: 'signal', port: 29328 },
  telegram: {
    program: 'mautrix-telegram',
    id: 'telegram',
    port: 29317,
    // The Python bridge, from before 2026, keeps them elsewhere.
    needs: {
      section: { bridgev2: 'network', 'legacy-go': 'network', 'legacy-python': 'telegram' },
      names: ['api_id', 'api_hash'],
      from: 'https://my.telegram.org/apps',
    },
  },
  meta: { program: 'mautrix-meta', id: 'meta', port: 29319 },
  facebook: meta('facebook'),
  instagram: meta('instagram'),
  gmessages,
  sms: gmessages,
  discord: { program: 'mautrix-discord', id: 'discord', port: 29334 },
  slack: { program: 'mautrix-slack', id: 'slack', port: 29335 },
  twitter: { program: 'mautrix-twitter', id: 'twitter', port: 29327 },
  bluesky: { program: 'mautrix-bluesky', id: 'bluesky', port: 29340 },
  gvoice: { program: 'mautrix-gvoice', id: 'gvoice', port: 29338 },
  googlechat: { program: 'mautrix-googlechat', id: 'googlechat', port: 29320 },
  linkedin: { program: 'mautrix-linkedin', id: 'linkedin', port: 29341 },
  zulip: { program: 'mautrix-zulip', id: 'zulip', port: 29342 },
}

export function knownNetwork(platform: string): KnownNetwork | undefined {
  return Object.hasOwn(KNOWN, platform) ? KNOWN[platform] : undefined
}
