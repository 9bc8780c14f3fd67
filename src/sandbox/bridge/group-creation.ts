/** Makes groups for a linked account, as POST /v3/create_group/{type} of bridgev2 does. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Login, Media } from '../network/types.ts'
import type { BridgeContext } from './context.ts'
import type { Directory } from './directory.ts'
import type { Downloads } from './downloads.ts'
import { ProvisioningError } from './logins.ts'
import type { Portals } from './portals.ts'
import { roomFeatures } from './room-features.ts'

export const newGroupSchema = z.object({
  participants: z.array(z.string()).default([]),
  name: z.object({ name: z.string() }).optional(),
  topic: z.object({ topic: z.string() }).optional(),
  avatar: z.object({ url: z.string() }).optional(),
  disappear: z.object({ type: z.string(), timer: z.number().nonnegative() }).optional(),
})
type NewGroupBody = z.infer<typeof newGroupSchema>

const invalid = (message: string) => new ProvisioningError(400, 'M_INVALID_PARAM', message)
const members = (count: number) => `${count} member${count === 1 ? '' : 's'}`

export function createGroupCreation(
  context: BridgeContext,
  parts: { directory: Directory; portals: Portals; downloads: Downloads },
) {
  const { facts, files, homeserver, network } = context
  const { directory, portals, downloads } = parts

  /** @throws ProvisioningError when the network has no such group */
  function check({ name, participants, disappear }: NewGroupBody): void {
    const { nameRequired, maxNameLength, minMembers, maxMembers } = facts.groups
    if (nameRequired && !name?.name) throw invalid('Name is required')
    if ((name?.name.length ?? 0) > maxNameLength)
      throw invalid(`Name must be at most ${maxNameLength} characters`)
    if (participants.length < minMembers)
      throw invalid(`Must have at least ${members(minMembers)} (in addition to yourself)`)
    if (participants.length > maxMembers) throw invalid(`Must have at most ${members(maxMembers)}`)
    if (!disappear || disappear.timer === 0) return
    const { types, timers } = roomFeatures(facts.platform, { group: null }).disappearing_timer
    if (!types.some(type => type === disappear.type) || timers?.includes(disappear.timer) === false)
      throw invalid('Unsupported value for disappearing timer')
  }

  async function pictureOf({ avatar }: NewGroupBody): Promise<Media | undefined> {
    if (!avatar?.url) return undefined
    const wanted = { mxc: avatar.url, name: 'avatar', mimeType: '', sizeBytes: 0, durationMs: null }
    return network.store.mediaByMxc(avatar.url) ?? downloads.fetch(wanted)
  }

  return {
    /** @throws ProvisioningError */
    async make(login: Login, type: string, given: NewGroupBody) {
      if (type !== 'group')
        throw new ProvisioningError(404, 'M_UNRECOGNIZED', `Unrecognized group type ${type}`)
      const participants = given.participants.filter(id => directory.resolve(id) !== login.phone)
      check({ ...given, participants })
      const phones = new Map(participants.map(id => [id, directory.resolve(id)]))
      const known = [...phones.values()].filter(phone => phone !== null)
      const failed = [...phones].filter(([, phone]) => phone === null).map(([id]) => id)
      const picture = await pictureOf(given)
      try {
        const group = {
          name: given.name?.name ?? '',
          inviteCode: randomBytes(11).toString('hex'),
          kind: 'group',
          owner: null,
          admins: [login.phone],
          topic: given.topic?.topic ?? '',
          disappearingS: Math.round((given.disappear?.timer ?? 0) / 1_000),
        } as const
        const chat = await network.createGroup(facts.platform, group, [login.phone, ...known], {
          by: login.phone,
          picture,
        })
        const portal = await portals.ensure(login, chat)
        return {
          id: chat.group?.groupId,
          mxid: portal.roomId,
          ...(failed.length === 0 ? {} : { failed_participants: failuresOf(failed) }),
        }
      } finally {
        if (picture && !network.store.media(picture.id)) await files.discard(picture.id)
      }
    },
    capabilities() {
      const { nameRequired, maxNameLength, minMembers, maxMembers } = facts.groups
      const settings = roomFeatures(facts.platform, { group: null }).disappearing_timer
      return {
        group: {
          type_description: 'a group chat',
          name: { allowed: true, required: nameRequired, max_length: maxNameLength },
          participants: {
            allowed: true,
            required: minMembers > 0,
            min_length: minMembers,
            max_length: maxMembers,
          },
          disappear: { allowed: true, settings },
          avatar: { allowed: true },
        },
      }
    },
  }

  function failuresOf(ids: readonly string[]) {
    const failures = ids.map(id => [
      id,
      { reason: 'error 404', user_mxid: homeserver.userId(`${facts.networkId}_${id}`) },
    ])
    return Object.fromEntries(failures)
  }
}
