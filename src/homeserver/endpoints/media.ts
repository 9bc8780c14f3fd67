/** Uploads and downloads. Content is streamed to and from files, never held in memory. */
import { type Call, param } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, MatrixError, notFound } from '../errors.ts'
import { randomId } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import type { MediaRow } from '../store/media.ts'

/** How long a reserved upload may stay empty. */
const RESERVED_FOR_MS = 24 * 60 * 60_000
const MEDIA_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Types a browser may show inline (Matrix v1.12, "Serving inline content"); others download. */
const INLINE_TYPES = new Set(
  `text/css text/plain text/csv application/json application/ld+json
   image/jpeg image/gif image/png image/apng image/webp image/avif
   video/mp4 video/webm video/ogg video/quicktime
   audio/mp4 audio/webm audio/aac audio/mpeg audio/ogg audio/wave audio/wav audio/x-wav audio/x-pn-wav
   audio/flac audio/x-flac`.split(/\s+/),
)

const CONTENT_SECURITY_POLICY =
  "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';"

/** @see https://spec.matrix.org/v1.12/client-server-api/#get_matrixclientv1mediaconfig */
export function mediaConfig({ core }: Call): JsonObject {
  return { 'm.upload.size': core.files.maxBytes }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixmediav3upload */
export async function upload(call: Call): Promise<JsonObject> {
  const mediaId = randomId('', 24)
  await store(call, mediaId)
  return { content_uri: `mxc://${call.core.serverName}/${mediaId}` }
}

/** @see https://spec.matrix.org/v1.12/client-server-api/#post_matrixmediav1create */
export async function createMedia({ core, userId }: Call): Promise<JsonObject> {
  const mediaId = randomId('', 24)
  const now = core.clock.now()
  const empty = { content_type: null, filename: null, size_bytes: null }
  await core.commit(() => core.media.put({ media_id: mediaId, user_id: userId, ...empty, now }))
  return { content_uri: `mxc://${core.serverName}/${mediaId}`, unused_expires_at: now + RESERVED_FOR_MS }
}

/** @see Matrix v1.12, PUT /_matrix/media/v3/upload/{serverName}/{mediaId} */
export async function uploadReserved(call: Call): Promise<undefined> {
  const { core } = call
  const mediaId = param(call, 'mediaId')
  await core.uploads.run(mediaId, async () => {
    const row = findMedia(core, param(call, 'serverName'), mediaId)
    if (row.user_id !== call.userId) throw forbidden('This media belongs to somebody else')
    if (row.size_bytes !== null)
      throw new MatrixError(409, 'M_CANNOT_OVERWRITE_MEDIA', 'This media has its content already')
    await store(call, mediaId)
  })
}

/** Only once the file is on disk does a row report the content. */
async function store(call: Call, mediaId: string): Promise<void> {
  const { core, request, userId, query } = call
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > core.files.maxBytes) throw core.files.tooLarge()
  const size = await core.files.save(mediaId, request.body ?? new Blob([]).stream())
  const row = {
    media_id: mediaId,
    user_id: userId,
    content_type: request.headers.get('content-type') ?? 'application/octet-stream',
    filename: query.get('filename'),
    size_bytes: size,
    now: core.clock.now(),
  }
  try {
    await core.commit(() => core.media.put(row))
  } catch (error) {
    await core.files.discard(mediaId)
    throw error
  }
}

/**
 * Returns a path whether or not the content exists.
 * @returns null unless it is an mxc:// URI of this server
 */
export function pathOfUri(core: Core, mxcUri: string): string | null {
  const prefix = `mxc://${core.serverName}/`
  const mediaId = mxcUri.startsWith(prefix) ? mxcUri.slice(prefix.length) : ''
  return MEDIA_ID.test(mediaId) ? core.files.pathOf(mediaId) : null
}

function findMedia(core: Core, serverName: string, mediaId: string): MediaRow {
  if (serverName !== core.serverName || !MEDIA_ID.test(mediaId)) throw notFound('Unknown media')
  const row = core.media.find(mediaId)
  if (!row) throw notFound('Unknown media')
  return row
}

/**
 * Also serves thumbnails, by the original: clients must cope with other sizes than requested.
 * @see Matrix v1.12, GET /_matrix/client/v1/media/download/{serverName}/{mediaId}
 */
export async function download(call: Call): Promise<Response> {
  const { core } = call
  const mediaId = param(call, 'mediaId')
  const row = findMedia(core, param(call, 'serverName'), mediaId)
  if (row.size_bytes === null)
    throw new MatrixError(504, 'M_NOT_YET_UPLOADED', 'The content has not been uploaded yet')
  const file = Bun.file(core.files.pathOf(mediaId))
  if (!(await file.exists())) throw notFound('Unknown media')
  const type = row.content_type ?? 'application/octet-stream'
  return new Response(file, {
    headers: {
      'content-type': type,
      'content-disposition': disposition(type, call.params.fileName ?? row.filename ?? undefined),
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, max-age=31536000, immutable',
    },
  })
}

function disposition(type: string, filename: string | undefined): string {
  const bare = (type.split(';')[0] ?? '').trim().toLowerCase()
  const kind = INLINE_TYPES.has(bare) ? 'inline' : 'attachment'
  if (filename === undefined || filename === '') return kind
  if (/^[\w.-]+$/.test(filename)) return `${kind}; filename=${filename}`
  return `${kind}; filename*=utf-8''${encodeURIComponent(filename).replace(/['()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)}`
}
