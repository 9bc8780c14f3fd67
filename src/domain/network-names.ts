/** Names of networks, for sentences that people read. */

const NAMES: Readonly<Record<string, string>> = {
  wa: 'WhatsApp',
  whatsapp: 'WhatsApp',
  signal: 'Signal',
  telegram: 'Telegram',
  meta: 'Messenger',
  facebook: 'Messenger',
  messenger: 'Messenger',
  instagram: 'Instagram',
  gmessages: 'Google Messages',
  sms: 'Google Messages',
  discord: 'Discord',
  slack: 'Slack',
  twitter: 'X',
  bluesky: 'Bluesky',
  gvoice: 'Google Voice',
  googlechat: 'Google Chat',
  linkedin: 'LinkedIn',
  zulip: 'Zulip',
}

/** @returns the platform itself where we know no better name */
export function networkName(platform: string | null): string {
  return platform === null ? 'the network' : (NAMES[platform] ?? platform)
}
