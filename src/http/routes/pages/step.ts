/** The part of the link page that shows a link's step, and asks for what it wants. */
import QRCode from 'qrcode'
import {
  ALL_COOKIES,
  type CookieField,
  type LinkEvent,
  type LinkField,
  type LinkView,
} from '../../../domain/views/link.ts'
import { passkeyScript } from '../../../lib/passkey-script.ts'
import { Html, html } from './html.ts'

type Step<Type extends LinkEvent['type']> = Extract<LinkEvent, { type: Type }>

export async function stepHtml({ step, expires_at: until }: LinkView): Promise<Html> {
  const left = until === null ? null : html`<p class="left" data-until="${until}"></p>`
  return html`${await bodyOf(step)}${left}`
}

async function bodyOf(step: LinkEvent): Promise<Html> {
  switch (step.type) {
    case 'qr':
      return html`${words(step)}<div class="qr">${await qrCode(step)}</div>${address(step.payload)}`
    case 'code':
      return html`${words(step, 'Enter this code on your phone:')}<p class="code">${step.code}</p>${picture(step)}`
    case 'emoji':
      return html`${words(step, 'Choose this on your phone:')}<p class="code">${step.emoji}</p>${picture(step)}`
    case 'wait':
      return words(step, 'Go on with your phone.')
    case 'input':
      return html`${words(step)}${step.attachments.map(attachment)}${form(step.fields)}`
    case 'cookies':
      return cookies(step)
    case 'passkey':
      return passkey(step)
    case 'connected':
      return html`<p class="done">Linked: ${step.name || step.device_id}</p><p>You can close this page.</p>`
    case 'error':
      return html`<p class="problem">Not linked: ${step.message}</p>
        <p>Ask whoever gave you this address for a new one.</p>`
  }
}

function words({ instructions }: { instructions: string }, otherwise = ''): Html {
  return html`<p>${instructions || otherwise}</p>`
}

async function qrCode({ payload }: Step<'qr'>): Promise<Html> {
  return new Html(await QRCode.toString(payload, { type: 'svg', margin: 2 }))
}

/** A code that is a web address can be opened where it is shown. */
function address(payload: string): Html | null {
  if (!/^https?:\/\//.test(payload) || !URL.canParse(payload)) return null
  return html`<p><a href="${payload}" rel="noreferrer" target="_blank">Open it on this device</a></p>`
}

/** Pictures come from elsewhere: the page itself loads nothing, the person may. */
function picture({ image_url: url }: { image_url: string | null }): Html | null {
  return url === null
    ? null
    : html`<p><a href="${url}" rel="noreferrer" target="_blank">Show its picture</a></p>`
}

function attachment({
  mime_type: type,
  content,
  file_name: name,
}: Step<'input'>['attachments'][number]): Html {
  return html`<img src="data:${/^image\/[\w.+-]+$/.test(type) ? type : 'image/png'};base64,${content}" alt="${name}">`
}

function script({ extract_js: code }: Step<'cookies'>): Html | null {
  return code === null ? null : html`<p>This, in the console of that page, gathers it:</p><pre>${code}</pre>`
}

/** All fields can be found in one request that the browser has made. */
function cookies(step: Step<'cookies'>): Html {
  const isOneField = step.fields.some(({ id }) => id === ALL_COOKIES.id)
  const oneByOne = html`<details><summary>Or one by one</summary>${form(step.fields)}</details>`
  return html`${words(step)}
    <ol>
      <li>In a private window of a browser on a computer, open the developer tools (F12, Network), and log in at
        <a href="${step.url}" rel="noreferrer" target="_blank">${step.url}</a>.</li>
      <li>Choose a request to that site in the list, then <i>Copy as cURL (bash)</i> from its menu, and paste it here.</li>
    </ol>
    ${script(step)}${form([ALL_COOKIES])}${isOneField ? null : oneByOne}`
}

/** A passkey answers on pages of its own site alone, so the person carries question and answer. */
function passkey(step: Step<'passkey'>): Html {
  return html`${words(step, 'Your account is protected by a passkey.')}
    <ol>
      <li>On a computer, in Chrome or Edge, open <a href="${step.url}" rel="noreferrer" target="_blank">${step.url}</a>.</li>
      <li>Open the console of that page: press F12, then choose Console.</li>
      <li>Copy this, paste it there, press Enter, and use your passkey: <pre>${passkeyScript(step.publicKey)}</pre></li>
      <li>The answer is in the clipboard now: paste it here.</li>
    </ol>
    ${form(step.fields)}`
}

function form(fields: readonly (LinkField | CookieField)[]): Html {
  return html`<form method="post">${fields.map(fieldHtml)}<button>Go on</button></form>`
}

const TYPES: Readonly<Record<string, string>> = {
  password: 'password',
  phone_number: 'tel',
  email: 'email',
  url: 'url',
}
const LONG = ['credential', 'cookie', 'token']

function fieldHtml(field: LinkField): Html {
  return html`<label>${field.name}${input(field)}<small>${field.description}</small></label>`
}

function input({ id, type, required, options, default_value: value }: LinkField): Html {
  const need = required ? html` required` : null
  if (options.length > 0) {
    const choices = options.map(
      option => html`<option${option === value ? html` selected` : null}>${option}</option>`,
    )
    return html`<select name="${id}"${need}>${choices}</select>`
  }
  if (LONG.includes(type)) return html`<textarea name="${id}" rows="4" autocomplete="off"${need}></textarea>`
  const help =
    type === '2fa_code' ? html` inputmode="numeric" autocomplete="one-time-code"` : html` autocomplete="off"`
  return html`<input name="${id}" type="${TYPES[type] ?? 'text'}" value="${value ?? ''}"${help}${need}>`
}
