/** The page's files, embedded in the program. */
import { ApiError } from '../api/errors.ts'
import icon from './icon.svg' with { type: 'text' }
import link from './link.css' with { type: 'text' }

const ASSETS: Record<string, { type: string; text: string }> = {
  'icon.svg': { type: 'image/svg+xml', text: icon },
  'link.css': { type: 'text/css', text: link },
}

/** @throws ApiError when there is no such file */
export function assetResponse(name: string): Response {
  const asset = ASSETS[name]
  if (!asset) throw new ApiError('not_found', `there is no file ${name}`)
  return new Response(asset.text, {
    headers: { 'content-type': `${asset.type}; charset=utf-8`, 'cache-control': 'no-cache' },
  })
}
