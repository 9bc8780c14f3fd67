/** /sandbox/api/phones/{phone}/chats: a phone's chats, and what its owner does with one. */
import { z } from 'zod'
import { type Chat, directChatId, type Message } from '../network/types.ts'
import type { SandboxPlatform } from '../platforms.ts'
import { readJson } from './body.ts'
import { type ApiContext, type Asked, mustExist, phoneInPath, platformField } from './context.ts'
import { ApiError, check } from './errors.ts'
import { findGroup } from './groups.ts'
import { chatView } from './views.ts'

/** Messages among which the last one that can be read is looked for. */
const LOOKED_AT = 50
/** Types that are about another message. */
const ABOUT_ANOTHER: readonly Message['type'][] = ['reaction', 'edit', 'delete', 'vote']

export const secondsField = z
  .int('expected a whole number of seconds; 0: messages stay')
  .min(0, 'expected 0 or more')
  .max(366 * 24 * 3_600, 'expected at most a year')

export function createChatHandlers(api: ApiContext) {
  const { network } = api
  const { store } = network
  const boolean = z.boolean('expected true or false').optional()
  const querySchema = z.object({ platform: platformField(api).optional() })
  const changeSchema = z.strictObject({
    read: z.union([z.literal(true), z.string().min(1)], 'expected true, or the id of a message').optional(),
    typing: boolean,
    blocked: boolean,
    disappearing_s: secondsField.optional(),
  })

  function platformIn(url: URL): SandboxPlatform {
    const { platform } = check(querySchema, Object.fromEntries(url.searchParams))
    return platform ?? api.platforms[0] ?? 'wa'
  }

  /** @returns the chat with the other phone, or the group. @throws ApiError 404 */
  function find({ params, url }: Asked): { phone: string; chat: Chat | undefined; named: string } {
    const phone = phoneInPath(params.phone)
    const named = params.chat ?? ''
    const platform = platformIn(url)
    if (/^\+?\d{5,15}$/.test(named)) {
      const other = mustExist('chat', named.replace('+', ''))
      return { phone, chat: store.chat(directChatId(platform, phone, other)), named: other }
    }
    const chat = findGroup(api, named, platform)
    if (!store.isMember(chat.id, phone))
      throw new ApiError('not_found', `${phone} is not in the group ${named}`)
    return { phone, chat, named }
  }

  async function findOrMake(asked: Asked): Promise<{ phone: string; chat: Chat }> {
    const { phone, chat, named } = find(asked)
    return { phone, chat: chat ?? (await network.directChat(platformIn(asked.url), phone, named)) }
  }

  /** @throws ApiError when the phone doesn't have the message */
  function upTo(phone: string, chat: Chat, read: true | string): Message | undefined {
    if (read === true)
      return store
        .lastMessages(phone, chat.id, LOOKED_AT)
        .findLast(({ type }) => !ABOUT_ANOTHER.includes(type))
    const message = store.positionOn(phone, read) === undefined ? undefined : store.message(read)
    if (message?.chatId === chat.id) return message
    throw new ApiError('bad_request', `read: the chat has no message ${read}`)
  }

  return {
    /** The phone's chats, most recent first. */
    list({ params }: Asked) {
      const phone = phoneInPath(params.phone)
      const chats = store.chatsOfPhone(phone).map(chat => ({
        ...chatView(network, phone, chat),
        order: store.lastMessages(phone, chat.id, 1)[0]?.seq ?? 0,
      }))
      chats.sort((one, other) => other.order - one.order)
      return Response.json(chats.map(({ order: _order, ...chat }) => chat))
    },

    get(asked: Asked) {
      const { phone, chat, named } = find(asked)
      if (!chat) throw new ApiError('not_found', `${phone} has no chat with ${named}`)
      return Response.json(chatView(network, phone, chat))
    },

    /** Reads, types, blocks, or sets how long messages stay. */
    async change(asked: Asked) {
      const { read, typing, blocked, disappearing_s } = check(changeSchema, await readJson(asked.request))
      const { phone, chat } = await findOrMake(asked)
      if (blocked !== undefined && chat.group)
        throw new ApiError('bad_request', 'blocked: only people can be')
      const message = read === undefined ? undefined : upTo(phone, chat, read)
      if (message) await network.read(chat, phone, message)
      if (blocked !== undefined) await network.block(chat, phone, blocked)
      if (disappearing_s !== undefined)
        await network.change({ chat, by: phone, change: { disappearingS: disappearing_s } })
      if (typing !== undefined) network.type(chat, phone, typing)
      return Response.json(chatView(network, phone, store.chat(chat.id) ?? chat))
    },
  }
}
