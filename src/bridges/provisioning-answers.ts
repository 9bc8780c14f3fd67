/**
 * Checks answers of the bridgev2 provisioning API (maunium.net/go/mautrix,
 * bridgev2/matrix/provisioning.go) and translates them into our terms. Bridges differ by age: every
 * field we can do without is optional, and none is trusted.
 */
import { z } from 'zod'
import { GatewayError } from '../domain/errors.ts'
import type { LoginStep } from '../domain/login-steps.ts'
import type { BridgeCapabilities, BridgeContact, BridgeLogin } from '../domain/ports.ts'
import type { CookieField, LinkField } from '../domain/views/link.ts'
import { phoneAmong } from '../lib/phone-numbers.ts'
import { TurnBudget } from '../lib/turn-budget.ts'

const text = z.string().catch('').default('')
const optionalText = z.string().nullish().catch(null)
/** A list in which a wrong entry doesn't spoil the others. */
const listOf = <T extends z.ZodType>(item: T) =>
  z
    .array(z.unknown())
    .nullish()
    .catch([])
    .transform(entries =>
      (entries ?? []).flatMap(entry => {
        const parsed = item.safeParse(entry)
        return parsed.success ? [parsed.data] : []
      }),
    )

export const whoamiAnswer = z.object({
  network: z.object({ displayname: text }).catch({ displayname: '' }).default({ displayname: '' }),
  bridge_bot: optionalText,
  command_prefix: optionalText,
  login_flows: listOf(z.object({ id: z.string(), name: text, description: text })),
  logins: listOf(
    z.object({
      id: z.string(),
      name: text,
      profile: z.object({ phone: optionalText, name: optionalText }).nullish().catch(null),
      state: z
        .object({
          state_event: optionalText,
          reason: optionalText,
          error: optionalText,
          message: optionalText,
          info: z.object({ reachout_timelock_until: optionalText }).nullish().catch(null),
        })
        .nullish()
        .catch(null),
    }),
  ),
})
export type Whoami = z.infer<typeof whoamiAnswer>
type LoginState = NonNullable<Whoami['logins'][number]['state']>

const fieldSource = z.object({
  type: z.string(),
  name: text,
  cookie_domain: optionalText,
  request_url_regex: optionalText,
})

const displayStep = z.object({ type: z.string(), data: text, image_url: optionalText })

const inputStep = z.object({
  fields: z.array(
    z.object({
      id: z.string(),
      type: text,
      name: text,
      description: text,
      options: listOf(z.string()),
      pattern: optionalText,
      default_value: optionalText,
      optional: z.boolean().catch(false).default(false),
    }),
  ),
  attachments: listOf(
    z.object({
      filename: text,
      content: z.string(),
      info: z.object({ mimetype: text }).catch({ mimetype: '' }).default({ mimetype: '' }),
    }),
  ),
})

const cookiesStep = z.object({
  url: z.string(),
  user_agent: optionalText,
  extract_js: optionalText,
  wait_for_url_pattern: optionalText,
  fields: z.array(
    z.object({
      id: z.string(),
      required: z.boolean().catch(true).default(true),
      pattern: optionalText,
      sources: listOf(fieldSource),
    }),
  ),
})

const passkeyStep = z.object({ url: text, publicKey: z.record(z.string(), z.unknown()) })

export const stepAnswer = z.object({
  login_id: z.string().default(''),
  type: z.string(),
  step_id: z.string().default(''),
  txn_id: optionalText,
  instructions: text,
  display_and_wait: displayStep.optional(),
  user_input: inputStep.optional(),
  cookies: cookiesStep.optional(),
  webauthn: passkeyStep.optional(),
  complete: z.object({ user_login_id: z.string() }).optional(),
})

export const contactAnswer = z.object({
  id: text,
  name: text,
  identifiers: listOf(z.string()),
  mxid: optionalText,
  dm_room_mxid: optionalText,
  avatar_url: optionalText,
})
export const groupAnswer = z.object({
  id: text,
  mxid: z.string().startsWith('!'),
  failed_participants: z
    .record(z.string(), z.object({ reason: text }))
    .nullish()
    .catch(null),
})
/** `bridgeContacts` reads the entries. */
export const contactsAnswer = z.object({ contacts: listOf(z.unknown()) })
export const searchAnswer = z.object({ results: listOf(z.unknown()) })

const may = z.boolean().nullable().catch(null).default(null)
const resolving = z.object({
  create_dm: may,
  lookup_phone: may,
  lookup_email: may,
  lookup_username: may,
  contact_list: may,
  search: may,
})
/** By type, such as group and supergroup. */
const groupTypes = z.record(z.string(), z.unknown())
export const capabilitiesAnswer = z.object({
  resolve_identifier: resolving.nullish().catch(null),
  group_creation: groupTypes.nullish().catch(null),
})
export type CapabilitiesAnswer = z.infer<typeof capabilitiesAnswer>

/** @throws GatewayError bridge_error naming an unsupported kind of step */
export function loginStep(platform: string, answer: z.infer<typeof stepAnswer>): LoginStep {
  const { type, display_and_wait: display, user_input: input, cookies, webauthn, complete } = answer
  const step = {
    processId: answer.login_id,
    stepId: answer.step_id,
    txnId: answer.txn_id ?? null,
    instructions: answer.instructions,
  }
  if (type === 'complete' && complete) return { kind: 'complete', loginId: complete.user_login_id }
  if (type === 'display_and_wait' && display) {
    return {
      ...step,
      kind: 'display',
      display: displayKind(platform, display.type, answer),
      data: display.data,
      image_url: display.image_url || null,
    }
  }
  if (type === 'user_input' && input) {
    const attachments = input.attachments.map(({ filename, content, info }) => ({
      file_name: filename,
      mime_type: info.mimetype,
      content,
    }))
    return { ...step, kind: 'input', fields: input.fields.map(typedField), attachments }
  }
  if (type === 'cookies' && cookies) {
    const page = {
      url: cookies.url,
      user_agent: cookies.user_agent || null,
      extract_js: cookies.extract_js || null,
      wait_for_url_pattern: cookies.wait_for_url_pattern || null,
    }
    return { ...step, kind: 'cookies', fields: cookies.fields.map(cookieField), page }
  }
  if (type === 'webauthn' && webauthn) return { ...step, kind: 'passkey', ...webauthn, fields: [CREDENTIAL] }
  throw unknownKind(platform, `asks for a login step of a kind that we don't know: ${type}`, answer)
}

/** The bridge's own words may tell the person another way. */
function unknownKind(platform: string, what: string, { instructions }: { instructions: string }) {
  const words = instructions === '' ? '' : ` (${instructions})`
  return new GatewayError('bridge_error', `the ${platform} bridge ${what}${words}`)
}

/** The one answer to a passkey step, which bridges don't describe. */
export const CREDENTIAL: LinkField = {
  id: 'credential',
  type: 'credential',
  name: 'Passkey',
  description: 'What navigator.credentials.get() gave, as JSON',
  required: true,
  options: [],
  pattern: null,
  default_value: null,
}

const DISPLAYS = ['qr', 'code', 'emoji', 'nothing'] as const

function displayKind(
  platform: string,
  type: string,
  answer: { instructions: string },
): (typeof DISPLAYS)[number] {
  const known = DISPLAYS.find(kind => kind === type)
  if (known) return known
  throw unknownKind(platform, `asks to display something of a kind that we don't know: ${type}`, answer)
}

/** A field that is described by its name alone, which it follows, and must be filled in. */
export const PLAIN_FIELD = {
  description: '',
  required: true,
  options: [] as string[],
  pattern: null,
  default_value: null,
}

function typedField(field: z.infer<typeof inputStep>['fields'][number]): LinkField {
  const { id, type, name, description, options, pattern, default_value, optional } = field
  return {
    id,
    type,
    name: name || id,
    ...PLAIN_FIELD,
    description,
    required: !optional,
    options,
    pattern: pattern || null,
    default_value: default_value || null,
  }
}

function cookieField(field: z.infer<typeof cookiesStep>['fields'][number]): CookieField {
  const { id, required, pattern, sources } = field
  return {
    id,
    type: 'cookie',
    name: sources[0]?.name || id,
    ...PLAIN_FIELD,
    required,
    pattern: pattern || null,
    sources: sources.map(({ type, name, cookie_domain, request_url_regex }) => ({
      type,
      name,
      cookie_domain: cookie_domain || null,
      request_url_regex: request_url_regex || null,
    })),
  }
}

export function bridgeLogin(login: Whoami['logins'][number]): BridgeLogin {
  const { profile, state } = login
  const restrictedUntil = state ? restrictionIn(state) : undefined
  return {
    id: login.id,
    name: profile?.name || login.name || login.id,
    phone: profile?.phone ?? null,
    stateEvent: state?.state_event ?? null,
    reason: state ? stateReason(state) : null,
    errorCode: state?.error || null,
    ...(restrictedUntil === undefined ? {} : { restrictedUntil }),
  }
}

/**
 * WhatsApp lets an account that wrote to many strangers start no new chats for a while;
 * mautrix-whatsapp states until when in the states of a login (FillBridgeState).
 * @returns null when it is connected without one; undefined when the state says nothing of it
 */
function restrictionIn({ info, state_event }: LoginState): number | null | undefined {
  const until = Date.parse(info?.reachout_timelock_until ?? '')
  if (!Number.isNaN(until)) return until
  return state_event === 'CONNECTED' ? null : undefined
}

/** The message for people, with the code for looking it up in a manual or a search. */
function stateReason({ message, reason, error }: LoginState): string | null {
  const words = message || reason
  return words && error ? `${words} (${error})` : words || error || null
}

export function bridgeContact(contact: z.infer<typeof contactAnswer>): BridgeContact {
  return {
    id: contact.id,
    matrixUserId: contact.mxid || null,
    name: contact.name || contact.id,
    phone: phoneAmong(contact.identifiers),
    identifiers: contact.identifiers,
    roomId: contact.dm_room_mxid || null,
    avatarUri: contact.avatar_url?.startsWith('mxc://') ? contact.avatar_url : null,
  }
}

/**
 * @returns the type of an ordinary group on the network, by which it is made
 * @throws GatewayError not_supported where it has none
 */
export function groupType(platform: string, { group_creation: types }: CapabilitiesAnswer): string {
  const names = Object.keys(types ?? {})
  const type = names.find(name => name === 'group') ?? names[0]
  if (type !== undefined) return type
  throw new GatewayError('not_supported', `the ${platform} bridge can't make groups`)
}

/**
 * Reads an address book, letting other work in between, since it may be long. A wrong entry doesn't
 * spoil the others.
 */
export async function bridgeContacts(entries: readonly unknown[]): Promise<BridgeContact[]> {
  const turn = new TurnBudget()
  const contacts: BridgeContact[] = []
  for (const entry of entries) {
    const parsed = contactAnswer.safeParse(entry)
    if (parsed.success) contacts.push(bridgeContact(parsed.data))
    if (turn.isSpent) await turn.pause()
  }
  return contacts
}

/** bridgev2 states capabilities of networks, not of logins. */
export function bridgeCapabilities(answer: CapabilitiesAnswer): BridgeCapabilities {
  const { create_dm, ...others } = answer.resolve_identifier ?? resolving.parse({})
  const types = answer.group_creation
  // A bridge that can start chats can find people at least by an id.
  const finds = [create_dm, others.lookup_phone, others.lookup_email, others.lookup_username]
  const resolve = finds.every(find => find === null) ? null : finds.includes(true)
  const createGroup = types ? Object.keys(types).length > 0 : null
  return { resolve, create_chat: create_dm, ...others, create_group: createGroup, group_links: null }
}
