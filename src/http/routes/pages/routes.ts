/**
 * The pages for people: `/` says what this is, `/link/<ticket>` links a phone without a token.
 * They work without scripts; with them, the link page follows its link.
 */
import { Elysia } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import { ConnectionPlaces } from '../../../lib/connection-places.ts'
import type { Linking } from '../../../modules/devices/linking.ts'
import { httpErrorOf } from '../../error-answers.ts'
import { readForm } from '../../form-fields.ts'
import { html } from './html.ts'
import { page } from './layout.ts'
import { followLink } from './link-stream.ts'
import type { LinkTickets, TicketedLink } from './link-tickets.ts'
import { stepHtml } from './step.ts'

export interface PageRoutesOptions {
  linking: Pick<Linking, 'get' | 'answer' | 'followOne'>
  tickets: Pick<LinkTickets, 'open'>
  version: string
  /** Where the sandbox's page is; undefined without a sandbox. */
  hasSandbox: boolean
  /** Origins whose pages may show a link page in a frame. */
  frameOrigins: readonly string[]
  clock: Clock
}

/**
 * Shows each step as it comes, and how long it is good; a reload shows the same. A step that comes
 * again, as after a lost connection, leaves what was typed and why it was refused.
 */
const FOLLOW = `
const step = document.getElementById('step');
let shown = step.innerHTML;
function show(html) {
  const next = document.createElement('div');
  next.innerHTML = html;
  if (next.innerHTML === shown) return;
  shown = next.innerHTML;
  step.replaceChildren(...next.childNodes);
  document.getElementById('refusal')?.remove();
  left();
}
function left() {
  for (const p of step.querySelectorAll('[data-until]')) {
    const s = Math.max(0, Math.round((Date.parse(p.dataset.until) - Date.now()) / 1000));
    p.textContent = s > 0 ? 'Good for ' + (s > 90 ? Math.round(s / 60) + ' minutes' : s + ' s') : '';
  }
}
const events = new EventSource(location.pathname.replace(/\\/$/, '') + '/events');
events.addEventListener('step', event => show(event.data));
events.addEventListener('end', () => events.close());
setInterval(left, 1000);
left();
`

export function pageRoutes(options: PageRoutesOptions) {
  const { linking, tickets, version, hasSandbox, frameOrigins, clock } = options
  const places = new ConnectionPlaces()

  async function linkPage(link: TicketedLink, problem?: string): Promise<Response> {
    const view = linking.get(link.identityId, link.linkId)
    const refusal =
      problem === undefined ? null : html`<p id="refusal" class="problem" role="alert">${problem}</p>`
    return page({
      title: 'Link a device',
      body: html`<h1>Link a device</h1>${refusal}<div id="step" aria-live="polite">${await stepHtml(view)}</div>
        <noscript><p>Reload this page to see what has changed.</p></noscript>`,
      status: problem === undefined ? 200 : 400,
      script: FOLLOW,
      frameOrigins,
    })
  }

  /** A person reads it: what is wrong is said in a page. */
  async function ofTicket(
    ticket: string,
    show: (link: TicketedLink) => Promise<Response>,
  ): Promise<Response> {
    try {
      return await show(await tickets.open(ticket))
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const { status, message } = httpErrorOf(error)
      return page({
        title: 'Link a device',
        body: html`<h1>Link a device</h1><p>${message}</p>`,
        status,
        frameOrigins,
      })
    }
  }

  async function answer(link: TicketedLink, request: Request): Promise<Response> {
    try {
      const inputs = Object.fromEntries(await readForm(request))
      await linking.answer(link.identityId, link.linkId, inputs)
      return new Response(null, { status: 303, headers: { location: new URL(request.url).pathname } })
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      return await linkPage(link, error.message)
    }
  }

  return new Elysia({ name: 'pages' })
    .get('/', () => page({ title: 'Meshgate', body: welcome(version, hasSandbox) }))
    .get('/link/:ticket', ({ params: { ticket } }) => ofTicket(ticket, linkPage))
    .post(
      '/link/:ticket',
      ({ params: { ticket }, request }) => ofTicket(ticket, link => answer(link, request)),
      {
        parse: 'none',
      },
    )
    .get('/link/:ticket/events', ({ params: { ticket } }) =>
      ofTicket(ticket, async link => {
        const leave = places.take(link.linkId, 'pages of a link')
        if (typeof leave === 'string') throw new GatewayError('too_many_requests', leave)
        return followLink({ link, linking, leave, clock })
      }),
    )
}

function welcome(version: string, hasSandbox: boolean) {
  const sandbox = hasSandbox
    ? html`<li><a href="/sandbox">The sandbox</a>: simulated phones, to link and to write with</li>`
    : null
  return html`<h1>Meshgate</h1>
    <p>One REST API for WhatsApp, Signal, Telegram and other networks. Version ${version}.</p>
    <ul>
      <li><a href="/docs/index.html">The API</a>, to read and to try out</li>
      ${sandbox}
      <li><a href="/health">Is it running?</a> <a href="/ready">Can it work?</a></li>
    </ul>`
}
