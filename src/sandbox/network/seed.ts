/** The network's first phones, so that there is someone to write to. */
import type { Committer } from '../../lib/group-commit.ts'
import { platformFacts, SANDBOX_PLATFORMS, type SandboxPlatform } from '../platforms.ts'
import type { NetworkStore } from './store.ts'
import type { Phone } from './types.ts'

/** The phone that links by default. */
export const DEFAULT_PHONE = '237123456789'

/** Telegram's own account, which sends login codes. */
export const SERVICE_PHONE: Phone = {
  phone: '42777',
  name: 'Telegram',
  echo: false,
  platforms: ['telegram'],
  twoFactor: null,
  chatsByNumber: false,
  avatarId: null,
}

const PHONES: readonly { phone: string; name: string; contacts?: readonly string[] }[] = [
  { phone: DEFAULT_PHONE, name: 'Amina Tamba', contacts: ['1234567890', '0987654321', '2376987654321'] },
  { phone: '1234567890', name: 'Jonas Weber', contacts: [DEFAULT_PHONE] },
  { phone: '0987654321', name: 'Priya Nair', contacts: [DEFAULT_PHONE] },
  { phone: '2376987654321', name: 'Kofi Mensah', contacts: [DEFAULT_PHONE] },
  { phone: '4915112345678', name: 'Lena Brandt' },
  { phone: '447700900123', name: 'Oliver Hughes' },
]

const GROUPS: readonly { name: string; inviteCode: string; members: readonly string[] }[] = [
  { name: 'Weekend hikers', inviteCode: 'invite123', members: ['1234567890', '0987654321', '4915112345678'] },
  { name: 'Neighbourhood news', inviteCode: 'invite456', members: ['0987654321', '447700900123'] },
]

const SEEDED = 'seeded_at'

/** Runs once per database; people's later changes stay. */
export async function seedNetwork(store: NetworkStore, committer: Committer, now: number): Promise<void> {
  if (store.setting(SEEDED) !== undefined) return
  await committer.write(() => {
    if (store.setting(SEEDED) !== undefined) return
    const names = new Map(PHONES.map(({ phone, name }) => [phone, name]))
    for (const [index, { phone, name, contacts }] of PHONES.entries()) {
      // One millisecond apart, so that lists show them in this order.
      const phoneRow = {
        phone,
        name,
        echo: true,
        platforms: SANDBOX_PLATFORMS,
        twoFactor: null,
        chatsByNumber: false,
        avatarId: null,
      }
      store.putPhone(phoneRow, now + index)
      for (const contact of contacts ?? []) {
        store.putContact(phone, contact, names.get(contact) ?? contact)
      }
    }
    store.putPhone(SERVICE_PHONE, now + PHONES.length)
    for (const [index, platform] of SANDBOX_PLATFORMS.entries())
      seedGroups(store, platform, now + index * GROUPS.length)
    store.putSetting(SEEDED, String(now))
  })
}

function seedGroups(store: NetworkStore, platform: SandboxPlatform, now: number): void {
  for (const [index, { name, inviteCode, members }] of GROUPS.entries()) {
    const groupId = platformFacts(platform).groupId(`seed:${inviteCode}`)
    const admins = members.slice(0, 1)
    const group = { groupId, name, inviteCode, kind: 'group', owner: null, admins } as const
    store.addGroup(platform, group, members, now + index)
  }
}
