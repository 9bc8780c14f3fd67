/** Draws QR codes, and answers with the one that a link shows. */
import QRCode from 'qrcode'
import { GatewayError } from '../../../domain/errors.ts'
import type { LinkQr, LinkView } from '../../../domain/views/link.ts'
import type { PictureFormat } from './link-model.ts'

export function pngOf(payload: string): Promise<Buffer> {
  return QRCode.toBuffer(payload, { type: 'png', scale: 8 })
}

export function svgOf(payload: string): Promise<string> {
  return QRCode.toString(payload, { type: 'svg' })
}

/**
 * The code that the link shows now; the next one takes its place within seconds.
 * @throws GatewayError conflict, with the link's state, when it shows none
 */
export async function qrAnswer(link: LinkView, format: PictureFormat): Promise<Response> {
  const { payload, instructions, expires_at } = shownBy(link)
  switch (format) {
    case 'png':
      return picture(await pngOf(payload), 'image/png')
    case 'svg':
      return picture(await svgOf(payload), 'image/svg+xml')
    case 'txt':
      return picture(payload, 'text/plain; charset=utf-8')
    case 'json':
      return Response.json({ payload, instructions, expires_at }, { headers: UNKEPT })
  }
}

/** A code is a key to the account until it is scanned, and of no use afterwards. */
const UNKEPT = { 'Cache-Control': 'no-store' }

function picture(content: string | Buffer, type: string): Response {
  return new Response(typeof content === 'string' ? content : new Uint8Array(content), {
    headers: { ...UNKEPT, 'Content-Type': type },
  })
}

function shownBy({ id, state, step, expires_at }: LinkView): LinkQr {
  if (step.type === 'qr') return { payload: step.payload, instructions: step.instructions, expires_at }
  const error = `id: the link ${id} shows no QR code, as ${whyNone(step)}`
  throw new GatewayError('conflict', error, undefined, { state })
}

function whyNone(step: Exclude<LinkView['step'], { type: 'qr' }>): string {
  if (step.type === 'error') return `it has ended: ${step.message}`
  return step.type === 'connected' ? 'the device is linked' : `it stands on the step "${step.type}"`
}
