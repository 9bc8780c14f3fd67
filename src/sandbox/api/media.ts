/** /sandbox/api/media/{id}: files of messages. */
import type { ApiContext, Handler } from './context.ts'
import { ApiError } from './errors.ts'

/** Types shown in the page; others are downloads, since a file could be a page with scripts. */
const SHOWN_INLINE = /^(?:image\/(?:png|jpeg|gif|webp|avif|bmp)|video\/|audio\/)/

export function createMediaHandler({ files, network }: ApiContext): Handler {
  return async ({ params, request }) => {
    const media = network.store.media(params.mediaId ?? '')
    const file = media && files.open(media.id)
    if (!media || !file || !(await file.exists())) throw new ApiError('not_found', 'there is no such file')
    const headers: Record<string, string> = {
      'content-type': media.mimeType,
      'content-disposition': `${SHOWN_INLINE.test(media.mimeType) ? 'inline' : 'attachment'}; filename*=UTF-8''${encodeURIComponent(media.name)}`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=86400',
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get('range') ?? '')
    if (!range || file.size === 0) return new Response(file, { headers })
    return partOf(file, Number(range[1]), range[2] ? Number(range[2]) : file.size - 1, headers)
  }
}

/** Browsers request ranges to seek in audio and video. */
function partOf(file: Bun.BunFile, from: number, to: number, headers: Record<string, string>): Response {
  const last = Math.min(to, file.size - 1)
  if (from > last) {
    return new Response(null, { status: 416, headers: { 'content-range': `bytes */${file.size}` } })
  }
  const contentRange = `bytes ${from}-${last}/${file.size}`
  return new Response(file.slice(from, last + 1), {
    status: 206,
    headers: { ...headers, 'content-range': contentRange },
  })
}
