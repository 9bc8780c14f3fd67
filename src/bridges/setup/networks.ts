/**
 * What is known beforehand of well-known bridges: the program, and the names by which its example configuration registers. A bridge's own
 * example wins; a platform that isn't here works as well.
 */
import type { Layout } from './config-file.ts'

export interface KnownNetwork {
  /** File name of the bridge program. */
  program: string
  /** Id of the application service; bot and ghosts are named after it. */
  id: string
  /** Port that the bridge's example listens on. */
  port: number
  /** Settings that this platform's use of the program needs besides. */
  settings?: Readonly<Record<string, string>>
  /**
   * Settings only the operator can fill in, their section in each layout, and where they come from.
   */
  needs?: { section: Readonly<Record<Layout, string>>; names: readonly string[]; from: string }
}

const whatsapp: KnownNetwork = { program: 'mautrix-whatsapp', id: 'whatsapp', port: 29318 }
const gmessages: KnownNetwork = { program: 'mautrix-gmessages', id: 'gmessages', port: 29336 }
/** One program for several networks: each has its mode, and its own name, so that both can be attached. */
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
    // The bridge of before 2026, in Python, has them elsewhere.
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
