/** /sandbox/api/phones/{phone}/messages: a phone's messages, and sending by its owner. */
import { z } from 'zod'
import { enclosed, streamed } from '../../lib/json-answer.ts'
import { phoneDigits } from '../../lib/phone-numbers.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import { mediaTypeFor } from '../network/media.ts'
import {
  type Chat,
  type Content,
  directChatId,
  isMediaType,
  MEDIA_TYPES,
  type Media,
  type Message,
} from '../network/types.ts'
import type { SandboxPlatform } from '../platforms.ts'
import { isMultipart, readJson, readMultipart } from './body.ts'
import {
  type ApiContext,
  type Asked,
  mustExist,
  nameField,
  oneWorkATurn,
  phoneField,
  phoneInPath,
  platformField,
} from './context.ts'
import { ApiError, check } from './errors.ts'
import { findGroup, mustHavePosts } from './groups.ts'
import { messageView } from './views.ts'

/** Messages read at a time: a few milliseconds. */
const PAGE = 50

const SENDABLE = ['text', 'notice', 'emote', ...MEDIA_TYPES, 'location'] as const

export function createMessageHandlers(api: ApiContext) {
  const { store } = api.network
  const platform = platformField(api)
  const messageId = z.string('expected the id of a message').min(1, 'expected the id of a message')
  const about = z.union([
    messageId.transform((message): { message: string; text?: string | undefined } => ({ message })),
    z.object({ message: messageId, text: z.string().optional() }),
  ])
  const degrees = (limit: number) =>
    z.coerce.number(`expected degrees between -${limit} and ${limit}`).min(-limit).max(limit)

  const options = z.array(z.string('expected texts').min(1, 'expected texts'), 'expected a list of texts')
  const pollSchema = z
    .object({
      question: z.string('expected a question').min(1, 'expected a question'),
      options: options.min(2, 'expected two options or more').max(12, 'expected at most 12 options'),
      max_selections: z.int('expected a whole number').min(1, 'expected at least 1').default(1),
    })
    .refine(poll => new Set(poll.options).size === poll.options.length, 'expected options that differ')

  const cardSchema = z.object({
    name: nameField,
    phones: z.array(phoneField, 'expected a list of phone numbers').min(1, 'expected one number or more'),
  })

  const messageSchema = z.object({
    to: phoneField.optional(),
    group: z.string('expected an invite link, an invite code or a group id').min(1).optional(),
    platform: platform.optional(),
    type: z.enum(SENDABLE, `expected one of ${SENDABLE.join(', ')}`).optional(),
    text: z.string('expected text').max(65_536, 'expected at most 65536 characters').default(''),
    reply_to: messageId.optional(),
    mentions: z.preprocess(fromForm, z.array(phoneField, 'expected a list of phone numbers')).optional(),
    contact_card: cardSchema.optional(),
    location: z
      .object({ latitude: degrees(90), longitude: degrees(180), name: z.string().optional() })
      .optional(),
    reaction: z.object({ message: messageId, emoji: z.string('expected an emoji').max(64) }).optional(),
    edit: about.optional(),
    delete: about.optional(),
    poll: pollSchema.optional(),
    vote: z
      .object({
        message: messageId,
        options: z.array(z.string(), 'expected a list of options; an empty one takes the vote back'),
      })
      .optional(),
    call: z.object({ video: z.boolean('expected true or false').default(false) }).optional(),
    status: z.union([z.literal(true), z.literal('true')], 'expected true, or nothing').optional(),
    duration_ms: z.coerce.number('expected milliseconds').int().nonnegative().optional(),
  })
  type Given = z.infer<typeof messageSchema>

  const querySchema = z.object({
    chat: z.string().min(1).optional(),
    platform: platform.optional(),
    after: messageId.optional(),
    limit: z.coerce
      .number('expected a number')
      .int('expected a whole number')
      .min(1, 'expected at least 1')
      .optional(),
  })

  /** Finds a phone's chat by the other phone or the group. */
  function chatNamed(phone: string, named: string, wanted: SandboxPlatform): string {
    const digits = phoneDigits(named)
    if (digits !== null) return directChatId(wanted, phone, digits)
    return findGroup(api, named, wanted).id
  }

  async function read(request: Request): Promise<{ fields: unknown; media: Media | null }> {
    if (!isMultipart(request)) return { fields: await readJson(request), media: null }
    const { fields, media } = await readMultipart(request, api.files)
    return { fields: withoutEmpty(fields), media }
  }

  async function chatFor(sender: string, given: Given): Promise<Chat> {
    const target = given.reaction ?? given.edit ?? given.delete ?? given.vote
    if (target) {
      const chat = chatOfMessage(sender, target.message)
      if (chat.group?.kind !== 'status') return chat
      if (given.reaction) throw new ApiError('bad_request', 'reaction: status posts take none here')
      return api.network.statusChat(chat.platform, sender)
    }
    const wanted = given.platform ?? api.platforms[0] ?? 'wa'
    if (given.status) {
      mustHavePosts('status', wanted)
      return api.network.statusChat(wanted, sender)
    }
    if (given.group !== undefined) {
      const chat = findGroup(api, given.group, wanted)
      if (chat.group?.kind === 'channel' && chat.group.owner !== sender)
        throw new ApiError('bad_request', `group: only ${chat.group.owner} posts in this channel`)
      return store.isMember(chat.id, sender) ? chat : api.network.joinGroup(chat, sender)
    }
    if (given.to === undefined)
      throw new ApiError('bad_request', 'to: expected a phone number, or a group in group')
    const to = mustExist('to', given.to)
    if (!store.phone(to).platforms.includes(wanted)) {
      throw new ApiError('not_found', `to: ${to} is not on ${wanted}`)
    }
    return api.network.directChat(wanted, sender, to)
  }

  function chatOfMessage(phone: string, id: string): Chat {
    const message = store.positionOn(phone, id) === undefined ? undefined : store.message(id)
    const chat = message && store.chat(message.chatId)
    if (!chat) throw new ApiError('not_found', `message: the phone has no message ${id}`)
    return chat
  }

  function contentOf(sender: string, given: Given, media: Media | null): Content {
    const { reaction, edit, text, location, poll, vote, call } = given
    if (vote) return { type: 'vote', text: '', ...voteOn(vote.message, vote.options) }
    if (call) return { type: 'call', text: call.video ? 'Video call' : 'Voice call', isVideo: call.video }
    if (reaction) return { type: 'reaction', text: '', target: reaction.message, emoji: reaction.emoji }
    if (edit)
      return {
        type: 'edit',
        text: required('text', edit.text ?? text),
        target: own(sender, edit.message, 'edit'),
        mentions: mentionsIn(edit.text ?? text, given),
      }
    if (given.delete) return { type: 'delete', text: '', target: own(sender, given.delete.message, 'delete') }
    const replyTo = given.reply_to
    if (replyTo !== undefined) chatOfMessage(sender, replyTo)
    if (poll) {
      const { question, options, max_selections } = poll
      const maxSelections = Math.min(max_selections, options.length)
      return { type: 'poll', text: question, poll: { question, options, maxSelections }, replyTo }
    }
    if (location) {
      const { latitude, longitude, name } = location
      return { type: 'location', text: text === '' ? (name ?? '') : text, latitude, longitude, replyTo }
    }
    if (media) {
      const durationMs = given.duration_ms ?? null
      const type = given.type && isMediaType(given.type) ? given.type : mediaTypeFor(media.mimeType)
      const mentions = mentionsIn(text, given)
      return { type, text, mentions, media: { ...media, durationMs }, fileName: media.name, replyTo }
    }
    if (given.type === 'location')
      throw new ApiError('bad_request', 'location: expected {latitude, longitude}')
    if (given.type && isMediaType(given.type)) {
      throw new ApiError('bad_request', `file: expected a multipart form with a file for type ${given.type}`)
    }
    return {
      type: given.type ?? 'text',
      text: required('text', text),
      mentions: mentionsIn(text, given),
      replyTo,
    }
  }

  /** @throws ApiError 400 unless the text names each of them */
  function mentionsIn(text: string, { mentions }: Given): readonly string[] | undefined {
    for (const phone of mentions ?? [])
      if (!text.includes(`@${phone}`))
        throw new ApiError('bad_request', `mentions: expected @${phone} in the text`)
    return mentions
  }

  /** @throws ApiError 400 unless the poll has these options, and lets one choose as many */
  function voteOn(target: string, chosen: readonly string[]): Pick<Content, 'target' | 'options'> {
    const poll = store.message(target)?.poll
    if (!poll) throw new ApiError('bad_request', 'vote: expected a poll')
    const options = [...new Set(chosen)]
    if (options.length > poll.maxSelections || !options.every(option => poll.options.includes(option)))
      throw new ApiError(
        'bad_request',
        `vote: expected at most ${poll.maxSelections} of ${poll.options.join(', ')}`,
      )
    return { target, options }
  }

  /** Phones change only their own messages. */
  function own(sender: string, id: string, field: string): string {
    if (store.message(id)?.sender === sender) return id
    throw new ApiError('bad_request', `${field}: expected a message that ${sender} sent`)
  }

  /** A contact card is a file, as bridges have it. */
  function cardOf({ name, phones }: { name: string; phones: readonly string[] }): Promise<Media> {
    const numbers = phones.map(phone => `TEL;TYPE=CELL:+${phone}`)
    const lines = ['BEGIN:VCARD', 'VERSION:3.0', `FN:${name}`, ...numbers, 'END:VCARD', '']
    const stream = () => new Blob([lines.join('\r\n')]).stream()
    return api.files.take({ stream }, { name: `${name}.vcf`, mimeType: 'text/vcard', isTypeKnown: true })
  }

  function view(phone: string, message: Message) {
    const chat = store.chat(message.chatId)
    return chat ? [messageView(store, phone, message, chat)] : []
  }

  /** Position after which the messages start: the one named, or that of the last `limit`. */
  function startOf(
    phone: string,
    chatId: string | null,
    { after, limit }: z.infer<typeof querySchema>,
  ): number {
    if (after === undefined) return limit === undefined ? 0 : store.beforeLast(phone, chatId, limit)
    const afterSeq = store.positionOn(phone, after)
    if (afterSeq !== undefined) return afterSeq
    throw new ApiError('bad_request', `after: the phone has no message ${after}`)
  }

  const inTurn = oneWorkATurn()

  /** Up to `limit` messages after a position, as JSON. */
  async function* listed(
    phone: string,
    { chatId, afterSeq, limit }: { chatId: string | null; afterSeq: number; limit: number },
  ): AsyncGenerator<string> {
    const turn = new TurnBudget()
    let after = afterSeq
    for (let left = limit; left > 0; ) {
      const page = await inTurn(() => store.messagesAfter(phone, after, chatId, Math.min(PAGE, left)))
      for (const message of page) {
        for (const shown of view(phone, message)) yield JSON.stringify(shown)
        if (turn.isSpent) await turn.pause()
      }
      if (page.length < PAGE) return
      after = page.at(-1)?.seq ?? after
      left -= page.length
    }
  }

  return {
    list({ params, url }: Asked) {
      const phone = phoneInPath(params.phone)
      const query = check(querySchema, Object.fromEntries(url.searchParams))
      const limit = query.limit ?? Number.MAX_SAFE_INTEGER
      const chatId =
        query.chat === undefined
          ? null
          : chatNamed(phone, query.chat, query.platform ?? api.platforms[0] ?? 'wa')
      const afterSeq = startOf(phone, chatId, query)
      return streamed(enclosed('[', listed(phone, { chatId, afterSeq, limit }), ']'))
    },

    async send({ params, request }: Asked) {
      const sender = phoneInPath(params.phone)
      const { fields, media: file } = await read(request)
      let media = file
      try {
        const given = check(messageSchema, fields)
        if (given.contact_card) media ??= await cardOf(given.contact_card)
        const chat = await chatFor(sender, given)
        const content = contentOf(sender, given, media)
        const message = await api.network.post({ chat, sender, content })
        return Response.json(view(sender, message)[0], { status: 201 })
      } finally {
        if (media && !store.media(media.id)) await api.files.discard(media.id)
      }
    },
  }
}

function required(field: string, text: string): string {
  if (text !== '') return text
  throw new ApiError(
    'bad_request',
    `${field}: expected text, or a file, location, poll, vote, call, reaction, edit or delete`,
  )
}

/** Forms send omitted fields as empty ones. */
function withoutEmpty(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
}

/** A form's field is a text: a list in it is JSON. */
function fromForm(value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith('[')) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}
