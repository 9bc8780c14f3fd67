/** A send as it is asked for, and what of it can be refused without looking anything up. */
import { GatewayError } from '../../../domain/errors.ts'
import { MAX_RECIPIENT_LENGTH, MAX_TEXT_BYTES } from '../../../domain/limits.ts'
import type { RecipientKind } from '../../../domain/states.ts'
import type { AcceptedMessage } from '../../../domain/views/message.ts'
import type { Metadata, SendContent } from '../../../domain/views/message-content.ts'
import { hasBlanks, isGroupLink, splitList } from '../../../domain/written-recipients.ts'
import { isBlank } from '../../../lib/blank-text.ts'
import { phoneDigits, trimmed } from '../../../lib/phone-numbers.ts'
import { vCard } from '../../../lib/vcard.ts'
import { fileUrlProblem } from '../../../outbound/file-client.ts'
import { contactProblem } from '../../chats/resolve.ts'
import type { Recorder } from '../../idempotency/types.ts'
import type { StagedFile } from '../../media/media.ts'
import { mentionOf, notMentioned } from './formatting.ts'
import { checkReplyId } from './replies.ts'

/** Several are separated by commas, or are items of a list. */
type WrittenList = string | readonly string[]

const MAX_RECIPIENTS = 1_000
const MAX_METADATA_BYTES = 2_048
/** Characters of the name of a contact card's file: four bytes each at most. */
const MAX_FILE_NAME = 60

export interface SendRequest {
  identityId: string
  /** As in the path: phone digits, +E.164 or login id. */
  deviceId: string
  /** May be left out with `chatId`. */
  platform?: string | undefined
  /** Ignored when groupUrl is given. */
  contact?: WrittenList | undefined
  /** Invite links, the network's group ids, our chat ids or Matrix room ids. */
  groupUrl?: WrittenList | undefined
  /** Instead of both: a chat's id, or the id of a room that it is or was in. */
  chatId?: string | undefined
  text?: string | undefined
  content?: SendContent | undefined
  metadata?: Metadata | undefined
  replyId?: string | undefined
  /** Each becomes a message for each recipient; the first has the text as its caption. */
  files?: readonly StagedFile[] | undefined
  /** Instead of a file: where it is fetched once the send is accepted. */
  fileUrl?: string | undefined
  /** RFC 3339: it isn't sent before. */
  sendAt?: string | undefined
  /**
   * Seconds after which it fails if it hasn't been handed over, from `sendAt` on; by default it
   * waits for ever.
   */
  expiresInS?: number | undefined
  /** Keeps the answer. */
  record?: Recorder<AcceptedMessage[]> | undefined
}

/** Null where nothing is to be seen of it. */
export function textOf(text: string | undefined): string | null {
  return isBlank(text) ? null : (text ?? null)
}

/**
 * @param files names of the fields that bring a file
 * @throws GatewayError bad_request, in the words of the usage guide's API
 */
export function refuseIncomplete(
  {
    platform,
    contact,
    groupUrl,
    chatId,
    text,
    content,
  }: Pick<SendRequest, 'platform' | 'contact' | 'groupUrl' | 'chatId' | 'text' | 'content'>,
  files: readonly string[],
): void {
  if (chatId && (contact?.length || groupUrl?.length))
    throw refusal('chat_id: expected alone, without contact and group_url')
  if (!platform && !chatId) throw missing('platform')
  if (!contact?.length && !groupUrl?.length && !chatId) throw missing('contact, group_url or chat_id')
  const others = PARTS.filter(name => content?.[name])
  // A contact card may have become a file by now.
  const parts = content?.contact_card
    ? [...others, ...files.filter(name => name !== 'file')]
    : [...files, ...others]
  if (isBlank(text) && parts.length === 0) throw refusal('Either text or file must be provided')
  const [first, another] = parts
  if (first && another) throw refusal(`${another}: expected in a message of its own, not beside ${first}`)
  if (!isBlank(text) && (first === 'location' || first === 'poll'))
    throw refusal(`text: expected in a message of its own, as a ${first} has no caption`)
  if (content?.as && files.length === 0) throw refusal('as: expected with a file')
}

/** A message has one of them, or a file. */
const PARTS = ['location', 'contact_card', 'poll'] as const

/**
 * group_url wins over contact.
 * @throws GatewayError bad_request
 */
export function recipientsOf({ contact, groupUrl }: SendRequest): {
  kind: RecipientKind
  recipients: string[]
} {
  const groups = recipientsIn(groupUrl, 'group_url')
  const kind = groups.length > 0 ? 'group' : 'contact'
  const recipients = kind === 'group' ? groups : recipientsIn(contact, 'contact')
  if (recipients.length === 0) throw missing('contact, group_url or chat_id')
  for (const recipient of recipients) {
    const problem = kind === 'group' ? groupProblem(recipient) : contactProblem(recipient)
    const field = kind === 'group' ? 'group_url' : 'contact'
    if (problem !== null) throw refusal(`${field}: ${JSON.stringify(recipient)}: ${problem}`)
  }
  return { kind, recipients }
}

/** @throws GatewayError bad_request when there are too many, or one is too long to be one */
function recipientsIn(list: WrittenList | undefined, field: 'contact' | 'group_url'): string[] {
  const given = splitList(typeof list === 'string' ? list : (list ?? []).join(','))
  if (given.length > MAX_RECIPIENTS) throw refusal(`${field}: expected at most ${MAX_RECIPIENTS} recipients`)
  if (given.some(recipient => recipient.length > MAX_RECIPIENT_LENGTH))
    throw refusal(`${field}: expected recipients of at most ${MAX_RECIPIENT_LENGTH} characters`)
  return given.filter(recipient => trimmed(recipient) !== '')
}

function groupProblem(group: string): string | null {
  const isTorn = isGroupLink(group) && hasBlanks(group)
  return isTorn ? 'expected a link without white space and control characters' : null
}

/** @throws GatewayError bad_request */
export function checkContent({ text, replyId, fileUrl, content, metadata }: SendRequest): void {
  // A UTF-16 unit is at most six bytes (an escape), so most texts needn't be encoded to know.
  if (text && text.length * 6 > MAX_TEXT_BYTES && jsonBytes(text) > MAX_TEXT_BYTES)
    throw refusal(`text: expected at most ${MAX_TEXT_BYTES} bytes as JSON`)
  if (replyId) checkReplyId(replyId)
  const problem = fileUrl ? fileUrlProblem(fileUrl) : null
  if (problem !== null) throw refusal(`file_url: ${problem}`)
  if (content?.mentions) checkMentions(text ?? '', content.mentions)
  if (content?.poll) checkPoll(content.poll)
  if (content?.contact_card) checkCard(content.contact_card)
  if (metadata && jsonBytes(metadata) > MAX_METADATA_BYTES)
    throw refusal(`metadata: expected at most ${MAX_METADATA_BYTES} bytes as JSON`)
}

function checkMentions(text: string, mentions: readonly string[]): void {
  const missed = notMentioned(text, mentions)
  if (missed !== undefined)
    throw refusal(
      `mentions: expected ${JSON.stringify(mentionOf(missed))} in text, where the mention is to be`,
    )
}

function checkPoll({ options, max_selections: most = 1 }: NonNullable<SendContent['poll']>): void {
  // A vote names what was chosen by its text.
  const twice = options.findIndex((option, index) => options.indexOf(option) < index)
  if (twice !== -1) throw refusal(`poll.options.${twice}: expected another text than the options before it`)
  if (most > options.length)
    throw refusal(`poll.max_selections: expected at most ${options.length}, as there are no more options`)
}

function checkCard({ phones }: NonNullable<SendContent['contact_card']>): void {
  const wrong = phones.findIndex(phone => phoneDigits(phone) === null)
  if (wrong !== -1) throw refusal(`contact_card.phones.${wrong}: expected a phone number`)
}

/** A contact card as the file that it is sent as. */
export function fileOfCard(card: NonNullable<SendContent['contact_card']>) {
  // A name of a file has neither slashes nor control characters.
  const name = card.name.replace(/[\p{Cc}/\\:*?"<>|]/gu, ' ').trim()
  return {
    fileName: `${[...name].slice(0, MAX_FILE_NAME).join('') || 'contact'}.vcf`,
    mimeType: 'text/vcard',
    content: Buffer.from(vCard(card)),
  }
}

function missing(field: string): GatewayError {
  return refusal(`Missing required field: ${field}`)
}

function refusal(message: string): GatewayError {
  return new GatewayError('bad_request', message)
}

/** A text counts without the quotes around it. */
function jsonBytes(value: string | Metadata): number {
  return Buffer.byteLength(JSON.stringify(value)) - (typeof value === 'string' ? 2 : 0)
}
