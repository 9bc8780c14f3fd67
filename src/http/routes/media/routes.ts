/** /api/v1/media: files of incoming messages, by the signed addresses that webhooks carry. */
import { t } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import type { Avatars } from '../../../modules/media/avatars.ts'
import { answer, openRoute } from '../../route.ts'
import { wholeNumber } from '../../schemas.ts'
import type { MediaDownloads } from '../../services.ts'

const MediaPath = t.Object({ id: t.String() })
const Expires = wholeNumber('expires', { minimum: 0, description: 'Seconds since the Unix epoch.' })
const MediaQuery = t.Object({
  expires: Expires.schema,
  signature: t.String({ minLength: 1, maxLength: 256 }),
})

export function mediaRoutes(downloads: MediaDownloads | undefined, avatars: Pick<Avatars, 'open'>) {
  return [
    openRoute('GET', '/api/v1/media/:id', {
      id: 'downloadMedia',
      tag: 'Media',
      summary: 'Download a file',
      description: 'The address, with its signature, comes in a webhook payload (`media.url`).',
      params: MediaPath,
      query: MediaQuery,
      answer: answer(200, 'The file', t.String({ format: 'binary' }), {
        contentType: 'application/octet-stream',
      }),
      errors: [403, 404, 502],
      run: async ({ params, query }) => {
        if (!downloads) throw new GatewayError('not_found', `There is no file ${params.id}`)
        const { path, fileName, mimeType } = await downloads.open(
          params.id,
          Expires.read(query.expires),
          query.signature,
        )
        return new Response(Bun.file(path), { headers: headersFor(mimeType, fileName) })
      },
    }),
    openRoute('GET', '/api/v1/avatars/:id', {
      id: 'downloadAvatar',
      tag: 'Media',
      summary: 'Download a picture of somebody',
      description: 'The address, with its signature, is the `avatar_url` of a person or a chat.',
      params: MediaPath,
      query: MediaQuery,
      answer: answer(200, 'The picture', t.String({ format: 'binary' }), {
        contentType: 'application/octet-stream',
      }),
      errors: [403, 404, 502],
      run: async ({ params, query }) => {
        const { bytes, mimeType } = await avatars.open(
          params.id,
          Expires.read(query.expires),
          query.signature,
        )
        return new Response(bytes, { headers: headersFor(mimeType, 'avatar') })
      },
    }),
  ]
}

function headersFor(mimeType: string, fileName: string): Record<string, string> {
  return {
    'Content-Type': harmlessType(mimeType),
    'Content-Disposition': contentDisposition(fileName),
    // A file is somebody else's: it must not run as a page of ours, whatever its type says.
    'Content-Security-Policy': "default-src 'none'; sandbox",
    // The signed address is the permission, wherever the file is shown.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Cache-Control': 'private, max-age=3600',
  }
}

const UNTOLD = 'application/octet-stream'
/** RFC 9110 section 8.3.1, without parameters. */
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,64}\/[a-z0-9!#$&^_.+-]{1,64}$/
/** Types that a browser could take for a page or a program of this origin. */
const ACTIVE = /html|xml|svg|javascript|ecmascript|x-shockwave-flash|multipart\//

/**
 * The sender chose the type: one that isn't a type, or that a browser would run, isn't passed on.
 */
function harmlessType(mimeType: string): string {
  const [type = ''] = mimeType.toLowerCase().split(';', 1)
  const bare = type.trim()
  return MEDIA_TYPE.test(bare) && !ACTIVE.test(bare) ? bare : UNTOLD
}

/** RFC 6266: a plain name for old clients, the real one in UTF-8. */
function contentDisposition(fileName: string): string {
  // Not every client leaves folders out (RFC 6266 section 4.3).
  const name = fileName.replace(/[/\\]/g, '_')
  const ascii = name.replace(/[^\x20-\x7e]|["\\]/g, '_')
  const utf8 = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${ascii}"; filename*=UTF-8''${utf8}`
}
