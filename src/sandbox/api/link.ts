/** /sandbox/link/{code}: the page a phone sees after scanning a code, and its owner's consent. */
import { z } from 'zod'
import type { PendingLink } from '../bridge/link-codes.ts'
import { ProvisioningError } from '../bridge/logins.ts'
import { DEFAULT_PHONE, SERVICE_PHONE } from '../network/seed.ts'
import { askPage, linkedPage, problemPage } from '../page/link-page.ts'
import { parseJson, readJson, readText } from './body.ts'
import { type ApiContext, type Asked, type Handler, mustExist, phoneField } from './context.ts'
import { ApiError, check } from './errors.ts'

const linkSchema = z.object({ phone: phoneField.optional() })

const PROBLEMS = {
  expired: new ApiError('gone', 'this code has expired, as nobody linked a phone in time: ask for a new one'),
  used: new ApiError('gone', 'this code has been used: ask for a new one to link another device'),
  unknown: new ApiError('not_found', 'nothing waits for this code: it may be from before a restart'),
}

export function createLinkHandlers(api: ApiContext) {
  const { store } = api.network

  /** @throws ApiError when the code is no longer valid */
  function pending(code: string | undefined): PendingLink {
    const found = api.codes.find(code ?? '')
    if (found.state === 'open') return found.link
    throw PROBLEMS[found.state]
  }

  async function readPhone(request: Request, link: PendingLink): Promise<string> {
    const given = check(linkSchema, isForm(request) ? await readForm(request) : await readJson(request))
    const phone = mustExist('phone', given.phone ?? link.phone ?? DEFAULT_PHONE)
    if (link.phone !== null && phone !== link.phone) {
      throw new ApiError('bad_request', `phone: this code was asked for by ${link.phone}`)
    }
    if (!store.phone(phone).platforms.includes(link.platform)) {
      throw new ApiError('bad_request', `phone: ${phone} is not on ${link.platformName}`)
    }
    return phone
  }

  return {
    show: withProblemPage(async ({ params, request }) => {
      const link = pending(params.code)
      if (!wantsPage(request)) {
        return Response.json({ linked: false, platform: link.platform, phone: link.phone ?? DEFAULT_PHONE })
      }
      const phones = link.phone === null ? store.phones() : [store.phone(link.phone)]
      const accounts = phones.filter(
        ({ phone, platforms }) => phone !== SERVICE_PHONE.phone && platforms.includes(link.platform),
      )
      return askPage({ code: params.code ?? '', link, accounts, chosen: link.phone ?? DEFAULT_PHONE })
    }),

    accept: withProblemPage(async ({ params, request }) => {
      const link = pending(params.code)
      const phone = await readPhone(request, link)
      const { loginId, name } = await link.accept(phone).catch(error => {
        throw error instanceof ProvisioningError ? PROBLEMS.used : error
      })
      if (wantsPage(request)) return linkedPage(link, phone, name)
      return Response.json({ linked: true, phone, name, platform: link.platform, device_id: loginId })
    }),
  }
}

/** GET answers a page unless JSON is requested; POST answers JSON unless a browser sends a form. */
function wantsPage(request: Request): boolean {
  const accept = request.headers.get('accept') ?? ''
  if (request.method !== 'POST') return accept.includes('text/html') || !accept.includes('application/json')
  return accept.includes('text/html') && !(request.headers.get('content-type') ?? '').includes('json')
}

function isForm(request: Request): boolean {
  return (request.headers.get('content-type') ?? '').startsWith('application/x-www-form-urlencoded')
}

/** An empty form field counts as missing; curl labels JSON as a form by default. */
async function readForm(request: Request): Promise<unknown> {
  const text = (await readText(request)).trim()
  if (text.startsWith('{')) return parseJson(text, 'JSON or a form')
  const form = new URLSearchParams(text)
  const phone = form.get('other')?.trim() || form.get('phone')?.trim()
  return phone ? { phone } : {}
}

/** Shows a refusal as a page to whoever wants pages. */
function withProblemPage(handler: (asked: Asked) => Promise<Response>): Handler {
  return asked =>
    handler(asked).catch(error => {
      if (!(error instanceof ApiError) || !wantsPage(asked.request)) throw error
      return problemPage(error.status, error.message)
    })
}
