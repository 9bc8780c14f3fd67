/** /sandbox/api/phones: the phones of the network, with their address books. */
import { z } from 'zod'
import { enclosed, streamed } from '../../lib/json-answer.ts'
import { mediaTypeFor } from '../network/media.ts'
import type { Media } from '../network/types.ts'
import { platformFacts } from '../platforms.ts'
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
import { phoneDetailView, phoneView } from './views.ts'

/** Phones shown at a time: a few milliseconds. */
const PAGE = 50
/** Most contacts of one call, written at once; further calls add more. */
const MAX_CONTACTS = 1_000

export function createPhoneHandlers(api: ApiContext) {
  const { store } = api.network
  const contactSchema = z.object({ phone: phoneField, name: nameField })
  const phoneSchema = z.object({
    phone: phoneField,
    name: nameField.exactOptional(),
    echo: z.boolean('expected true or false').exactOptional(),
    platforms: z.array(platformField(api), 'expected a list of platforms').exactOptional(),
    two_factor: z.string('expected a password or null').min(1).nullable().optional(),
    avatar: z.null('expected null, which removes it; a form with a file sets it').optional(),
    contacts: z
      .array(contactSchema, 'expected a list of {phone, name}')
      .max(MAX_CONTACTS, `expected at most ${MAX_CONTACTS} contacts in one call`)
      .optional(),
  })

  const moveSchema = z.object({
    to: z.enum(['hidden_id', 'number'], 'expected hidden_id or number').optional(),
    room: z.enum(['same', 'new'], 'expected same or new').optional(),
  })

  const inTurn = oneWorkATurn()

  async function* listed(): AsyncGenerator<string> {
    const phones = await inTurn(() => store.phones())
    for (let start = 0; start < phones.length; start += PAGE) {
      const page = phones.slice(start, start + PAGE)
      yield* await inTurn(() => page.map(phone => JSON.stringify(phoneView(store, phone))))
    }
  }

  async function readBody(request: Request): Promise<{ fields: unknown; media: Media | null }> {
    return isMultipart(request)
      ? readMultipart(request, api.files)
      : { fields: await readJson(request), media: null }
  }

  return {
    list: () => streamed(enclosed('[', listed(), ']')),

    get({ params }: Asked) {
      return Response.json(phoneDetailView(store, store.phone(phoneInPath(params.phone))))
    },

    /** Creates a phone or changes the given fields. */
    async save({ request }: Asked) {
      const { fields, media } = await readBody(request)
      try {
        const { two_factor, contacts = [], avatar, ...given } = check(phoneSchema, fields)
        const phone = store.phone(mustExist('phone', given.phone))
        const isNew = !store.hasPhone(phone.phone)
        const twoFactor = two_factor === undefined ? phone.twoFactor : two_factor
        const avatarId = avatar === null ? null : phone.avatarId
        await api.network.savePhone({ ...phone, ...given, twoFactor, avatarId }, contacts, pictureIn(media))
        const view = phoneDetailView(store, store.phone(phone.phone))
        return Response.json(view, { status: isNew ? 201 : 200 })
      } finally {
        if (media && !store.media(media.id)) await api.files.discard(media.id)
      }
    },

    /**
     * Moves the direct chats with a phone to its hidden id, as WhatsApp does, or to its number. Its
     * bridge follows: it keeps each chat's room, or closes it in favour of a new one.
     */
    async move({ params, request }: Asked) {
      const phone = phoneInPath(params.phone)
      const { to = 'hidden_id', room = 'same' } = check(moveSchema, await readJson(request))
      const { accountId, personId } = platformFacts('wa')
      if (accountId(phone) === personId(phone))
        throw new ApiError('bad_request', `${phone} has no hidden id: numbers that end with 3 or 6 have one`)
      await api.network.moveChats(phone, to === 'number', room === 'new')
      return Response.json({ phone, to, room }, { status: 202 })
    },
  }
}

/** @throws ApiError 400 for any other file */
export function pictureIn(media: Media | null): Media | undefined {
  if (media && mediaTypeFor(media.mimeType) !== 'image')
    throw new ApiError('bad_request', 'file: expected a picture')
  return media ?? undefined
}
