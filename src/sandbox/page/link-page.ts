/** Pages behind a scanned code: a phone asks whether to link. Plain HTML, no scripts. */
import type { PendingLink } from '../bridge/link-codes.ts'
import type { Phone } from '../network/types.ts'

interface AskOptions {
  code: string
  link: PendingLink
  accounts: readonly Phone[]
  /** Number preselected for the user. */
  chosen: string
}

export function askPage({ code, link, accounts, chosen }: AskOptions): Response {
  const choices = accounts.map(({ phone, name }) => choice(phone, name, phone === chosen)).join('')
  const other =
    link.phone === null
      ? `<label class="other">Another number
           <input name="other" inputmode="tel" autocomplete="off" placeholder="5 to 15 digits"></label>`
      : ''
  return phonePage(
    200,
    `Link to ${link.platformName}`,
    `<div class="icon ${escaped(link.platform)}" aria-hidden="true"></div>
     <h1>Link a device?</h1>
     <p>A computer wants to use your <strong>${escaped(link.platformName)}</strong> account: read your messages and send
        in your name.</p>
     <form method="post" action="/sandbox/link/${encodeURIComponent(code)}">
       <fieldset><legend>Which phone is this?</legend>${choices}</fieldset>
       ${other}
       <button type="submit">Link device</button>
     </form>`,
  )
}

export function linkedPage(link: PendingLink, phone: string, name: string): Response {
  return phonePage(
    200,
    'Device linked',
    `<div class="icon done" aria-hidden="true"></div>
     <h1>Device linked</h1>
     <p><strong>${escaped(name)}</strong> (+${escaped(phone)}) is linked on ${escaped(link.platformName)}.</p>
     <p>What other phones write to it now reaches the computer, too.</p>
     <a class="button" href="/sandbox#${encodeURIComponent(phone)}">Open the phones</a>`,
  )
}

export function problemPage(status: number, message: string): Response {
  return phonePage(
    status,
    'Not linked',
    `<div class="icon problem" aria-hidden="true"></div>
     <h1>Not linked</h1>
     <p>${escaped(message.charAt(0).toUpperCase() + message.slice(1))}.</p>
     <a class="button" href="/sandbox">Open the phones</a>`,
  )
}

function choice(phone: string, name: string, checked: boolean): string {
  return `<label class="choice"><input type="radio" name="phone" value="${escaped(phone)}"${checked ? ' checked' : ''}>
    <span><strong>${escaped(name)}</strong><small>+${escaped(phone)}</small></span></label>`
}

function phonePage(status: number, title: string, body: string): Response {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} · Sandbox</title>
<link rel="icon" href="/sandbox/assets/icon.svg">
<link rel="stylesheet" href="/sandbox/assets/link.css">
</head>
<body>
<main class="phone"><div class="bar"><span>Sandbox phone</span><span>not a real network</span></div>${body}</main>
</body>
</html>`
  return new Response(html, {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  })
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
