/** The frame of our own small pages: one look, nothing loaded from elsewhere. */
import { randomToken } from '../../../lib/tokens.ts'
import { type Html, html, Html as Markup } from './html.ts'

export interface Page {
  title: string
  body: Html
  status?: number
  script?: string
  /** Origins whose pages may show it in a frame; none: nobody. */
  frameOrigins?: readonly string[]
}

const STYLES = `
:root { color-scheme: light dark; --ink: #1b2430; --paper: #fff; --edge: #d5dae1; --accent: #0b6b4f; --bad: #a32020 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --paper: #161b22; --edge: #39424e; --accent: #4cc79e; --bad: #ff8f8f } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem }
h1 { font-size: 1.4rem }
a { color: var(--accent) }
.qr { max-width: 20rem; margin: 1rem auto; background: #fff; border: 1px solid var(--edge) }
.qr svg { display: block; width: 100%; height: auto }
.code { font-size: 2.2rem; letter-spacing: .12em; text-align: center; overflow-wrap: anywhere }
.done { font-size: 1.3rem; color: var(--accent) }
.problem { color: var(--bad) }
label { display: block; margin: 1rem 0 }
input, select, textarea { display: block; width: 100%; padding: .6rem; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--edge); border-radius: .3rem }
button { padding: .6rem 1.4rem; font: inherit; color: var(--paper); background: var(--accent); border: 0; border-radius: .3rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; border: 1px solid var(--edge); user-select: all }
img { max-width: 100% }
`

/** @returns the page, which may run nothing but its own script */
export function page({ title, body, status = 200, script, frameOrigins = [] }: Page): Response {
  const nonce = randomToken('', 16)
  const scripts = script === undefined ? '' : `<script nonce="${nonce}">${script}</script>`
  const whole = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style nonce="${nonce}">${new Markup(STYLES)}</style>
</head>
<body><main>${body}</main>${new Markup(scripts)}</body>
</html>
`
  // Browsers that know frame-ancestors leave X-Frame-Options alone (CSP level 3, section 6.4.2).
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `script-src 'nonce-${nonce}'`,
    'img-src data:',
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    `frame-ancestors ${frameOrigins.length > 0 ? frameOrigins.join(' ') : "'none'"}`,
  ]
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy.join('; '),
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
  }
  return new Response(whole.text, { status, headers })
}
