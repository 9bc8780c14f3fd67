/** PATCH /sandbox/api/groups/{group}: what a member does with a group. */
import { z } from 'zod'
import type { Chat, ChatChange, Group, Media } from '../network/types.ts'
import { isMultipart, parseJson, readJson, readMultipart } from './body.ts'
import { secondsField } from './chats.ts'
import { type ApiContext, type Asked, mustExist, nameField, phoneField, platformField } from './context.ts'
import { ApiError, check } from './errors.ts'
import { findGroup, MAX_MEMBERS } from './groups.ts'
import { pictureIn } from './phones.ts'
import { groupView } from './views.ts'

const LISTS = ['add', 'remove', 'promote', 'demote'] as const

export function createGroupChangeHandlers(api: ApiContext) {
  const { files, network } = api
  const { store } = network
  const querySchema = z.object({ platform: platformField(api).optional() })
  const phones = z
    .array(phoneField, 'expected a list of phone numbers')
    .max(MAX_MEMBERS, `expected at most ${MAX_MEMBERS} numbers`)
    .optional()
  const changeSchema = z.strictObject({
    by: phoneField.optional(),
    name: nameField.optional(),
    topic: z.string('expected a text').max(2_000, 'expected at most 2000 characters').optional(),
    avatar: z.null('expected null, which removes it; a form with a file sets it').optional(),
    disappearing_s: secondsField.optional(),
    add: phones,
    remove: phones,
    promote: phones,
    demote: phones,
  })
  type Given = z.infer<typeof changeSchema>

  function groupOf({ params, url }: Asked): Chat & { group: Group } {
    const { platform } = check(querySchema, Object.fromEntries(url.searchParams))
    const chat = findGroup(api, params.group ?? '', platform ?? api.platforms[0] ?? 'wa')
    if (chat.group?.kind !== 'group')
      throw new ApiError('bad_request', 'group: a channel stays as it is here')
    return { ...chat, group: chat.group }
  }

  /** A form's fields are texts: lists are JSON. */
  async function read(request: Request): Promise<{ fields: unknown; media: Media | null }> {
    if (!isMultipart(request)) return { fields: await readJson(request), media: null }
    const { fields, media } = await readMultipart(request, files)
    const parsed = Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
      if (value === '') return []
      const isJson = name === 'disappearing_s' || (LISTS as readonly string[]).includes(name)
      return [[name, isJson ? parseJson(value, `JSON in ${name}`) : value]]
    })
    return { fields: Object.fromEntries(parsed), media }
  }

  /** @throws ApiError when the member may not, or the phones can't */
  function checkMembers({ members, group }: Chat & { group: Group }, by: string, given: Given): void {
    const { add = [], remove = [], promote = [], demote = [] } = given
    const isJoining = add.length === 1 && add[0] === by
    if (!members.includes(by) && !isJoining) throw new ApiError('bad_request', `by: ${by} is no member`)
    for (const phone of add) mustExist('add', phone)
    for (const [field, list] of [
      ['remove', remove],
      ['promote', promote],
      ['demote', demote],
    ] as const) {
      for (const phone of list)
        if (!members.includes(phone)) throw new ApiError('bad_request', `${field}: ${phone} is no member`)
      const isOwnLeaving = field === 'remove' && list.every(phone => phone === by)
      if (list.length > 0 && !isOwnLeaving && !group.admins.includes(by))
        throw new ApiError('bad_request', `by: ${by} is no admin, and only admins ${field} others`)
    }
  }

  function changeOf(given: Given, media: Media | null): ChatChange {
    const { name, topic, disappearing_s: disappearingS, add, remove, promote, demote } = given
    const picture = media ? true : given.avatar === null ? false : undefined
    const all = { name, topic, disappearingS, avatar: picture }
    const lists = { added: add, removed: remove, promoted: promote, demoted: demote }
    const wanted = Object.entries({ ...all, ...lists }).filter(([, value]) => value !== undefined)
    return Object.fromEntries(wanted)
  }

  return {
    get(asked: Asked) {
      const chat = groupOf(asked)
      return Response.json(groupView(chat, chat.group))
    },

    async change(asked: Asked) {
      const { fields, media } = await read(asked.request)
      try {
        const given = check(changeSchema, fields)
        const picture = pictureIn(media)
        const chat = groupOf(asked)
        const by = given.by ?? chat.group.admins[0] ?? chat.members[0] ?? given.add?.[0]
        if (by === undefined) throw new ApiError('bad_request', 'by: the group has nobody who could')
        checkMembers(chat, by, given)
        const change = changeOf(given, media)
        const changed = await network.change({ chat, by, change, picture })
        return Response.json(changed.group && groupView(changed, changed.group))
      } finally {
        if (media && !store.media(media.id)) await files.discard(media.id)
      }
    },
  }
}
