/** Formatted texts, mentions and captions, both ways. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { textOfHtml } from '../../../src/sandbox/bridge/formatted-text.ts'
import type { SandboxPlatform } from '../../../src/sandbox/index.ts'
import { createHarness, type Harness, type Json } from './harness.ts'

const ME = '237123456789'
const FRIEND = '1234567890'
const GHOST = `@whatsapp_${FRIEND}:test.example`

let harness: Harness
const rooms = {} as Record<SandboxPlatform, string>
beforeAll(async () => {
  harness = await createHarness()
  await harness.api('POST', 'api/phones', { phone: FRIEND, echo: false })
  for (const platform of ['wa', 'signal'] as const) {
    await harness.link(ME, platform)
    rooms[platform] = await harness.room(FRIEND, platform)
  }
})
afterAll(() => harness.close())

const html = (formatted_body: string, more: Json = {}) => ({
  msgtype: 'm.text',
  body: 'plain',
  format: 'org.matrix.custom.html',
  formatted_body,
  ...more,
})

async function arrived(platform: SandboxPlatform, content: Json): Promise<Json> {
  const event = await harness.send(rooms[platform], content)
  expect(await harness.status(event)).toMatchObject({ status: 'SUCCESS' })
  return (await harness.messages(FRIEND)).at(-1) as unknown as Json
}

test.each([
  ['<strong>bold</strong> <em>it</em> <del>no</del> <code>x &lt; y</code>', '*bold* _it_ ~no~ `x < y`'],
  ['<p>one</p>\n<p>two<br>three</p>', 'one\n\ntwo\nthree'],
  ['<p>one<br />\ntwo\nthree</p>', 'one\ntwo three'],
  ['<p><b>a</b>\n<i>b</i></p>', '*a* _b_'],
  ['<ul>\n<li>a</li>\n<li><b>b</b></li>\n</ul>', '- a\n- *b*'],
  ['<ol><li>a</li><li>b</li></ol>', '1. a\n2. b'],
  ['<pre><code>let x\nlet y</code></pre>', '```let x\nlet y```'],
  ['<blockquote>\n<p>said</p>\n</blockquote>\nyes', '> said\n\nyes'],
  ['<a href="https://a.example/?b=1&amp;c=2">here</a>', 'here (https://a.example/?b=1&c=2)'],
  ['<mx-reply>quoted</mx-reply>answer', 'answer'],
  ['a < b <i>unclosed', 'a < b _unclosed_'],
])('WhatsApp writes %s with its own marks', (given, text) => {
  expect(textOfHtml(given, 'wa', () => null)).toBe(text)
})

test('a text with formatting arrives as each network has it', async () => {
  expect(await arrived('wa', html('<b>now</b>'))).toMatchObject({ text: '*now*', html: null })
  expect(await arrived('signal', html('<b>now</b>'))).toMatchObject({ text: 'now', html: '<b>now</b>' })
})

test('a mention names a number, if the event mentions its user', async () => {
  const pill = `hello <a href="https://matrix.to/#/${encodeURIComponent(GHOST)}">Jonas</a>`
  const mentioned = await arrived('wa', html(pill, { 'm.mentions': { user_ids: [GHOST] } }))
  expect(mentioned).toMatchObject({ text: `hello @${FRIEND}`, mentions: [FRIEND] })
  const unmentioned = await arrived('wa', html(pill, { 'm.mentions': {} }))
  expect(unmentioned).toMatchObject({ text: 'hello Jonas', mentions: [] })
})

test('a text may ask for no preview of its links', async () => {
  const content = { msgtype: 'm.text', body: 'https://a.example' }
  expect(await arrived('wa', content)).toMatchObject({ link_preview: null })
  expect(await arrived('wa', { ...content, 'com.beeper.linkpreviews': [] })).toMatchObject({
    link_preview: false,
  })
})

test('an edit changes a caption, and takes formatting and mentions with it', async () => {
  const url = await harness.upload(new Uint8Array([1]), 'image/png', 'a.png')
  const file = (body: string) => ({ msgtype: 'm.image', body, filename: 'a.png', url })
  const info = { mimetype: 'image/png' }
  const event = await harness.send(rooms.wa, { ...file('befor'), info })
  const edit = (body: string) => ({
    ...file(`* ${body}`),
    'm.new_content': file(body),
    'm.relates_to': { rel_type: 'm.replace', event_id: event },
  })
  const { edits } = await arrived('wa', edit('before'))
  const now = async () => (await harness.messages(FRIEND)).find(({ id }) => id === edits) as unknown as Json
  expect(await now()).toMatchObject({ type: 'image', text: 'before', edited: true })
  await arrived('wa', edit('a.png'))
  expect(await now()).toMatchObject({ text: '' })

  const text = await harness.send(rooms.signal, html('<b>one</b>'))
  const relation = { 'm.relates_to': { rel_type: 'm.replace', event_id: text } }
  const changed = { msgtype: 'm.text', body: '* two', 'm.new_content': { msgtype: 'm.text', body: 'two' } }
  const { edits: id } = await arrived('signal', { ...changed, ...relation })
  const message = (await harness.messages(FRIEND)).find(one => one.id === id)
  expect(message).toMatchObject({ text: 'two', html: null })
})

test('nobody edits or deletes what others wrote in a direct chat', async () => {
  const said = { to: ME, text: 'mine' }
  await harness.api('POST', `api/phones/${FRIEND}/messages`, said)
  const { event_id } = await harness.event(event => event.content.body === 'mine')
  const edit = {
    msgtype: 'm.text',
    body: '* yours',
    'm.new_content': { msgtype: 'm.text', body: 'yours' },
    'm.relates_to': { rel_type: 'm.replace', event_id },
  }
  const status = await harness.status(await harness.send(rooms.wa, edit))
  expect(status).toMatchObject({ status: 'FAIL_RETRIABLE', reason: 'm.event_not_handled' })
})

test('a GIF is one both ways', async () => {
  const url = await harness.upload(new Uint8Array([1]), 'video/mp4', 'a.mp4')
  const info = { mimetype: 'video/mp4', 'fi.mau.gif': true }
  expect(await arrived('wa', { msgtype: 'm.video', body: 'a.mp4', url, info })).toMatchObject({ type: 'gif' })
  const form = new FormData()
  form.append('to', ME)
  form.append('type', 'gif')
  form.append('file', new File([new Uint8Array([1])], 'b.mp4', { type: 'video/mp4' }))
  await harness.api('POST', `api/phones/${FRIEND}/messages`, form)
  const { content } = await harness.event(event => event.content.body === 'b.mp4')
  expect(content).toMatchObject({ msgtype: 'm.video', info: { 'fi.mau.gif': true, 'fi.mau.loop': true } })
})

test('a phone’s marks and mentions are HTML in the room', async () => {
  const said = { to: ME, text: `*dear* @${ME} & all`, mentions: [ME] }
  const { status } = await harness.api('POST', `api/phones/${FRIEND}/messages`, said)
  expect(status).toBe(201)
  const { content } = await harness.event(event => String(event.content.body).startsWith('*dear*'))
  expect(content).toMatchObject({
    body: '*dear* Amina Tamba & all',
    format: 'org.matrix.custom.html',
    formatted_body:
      '<strong>dear</strong> <a href="https://matrix.to/#/@mg_alice:test.example">Amina Tamba</a> &amp; all',
    'm.mentions': { user_ids: ['@mg_alice:test.example'] },
  })
  const plain = { to: ME, text: '2 * 3 * 4 and a_b_c' }
  await harness.api('POST', `api/phones/${FRIEND}/messages`, plain)
  const { content: without } = await harness.event(event => event.content.body === plain.text)
  expect(without).not.toHaveProperty('formatted_body')
  const wrong = await harness.api('POST', `api/phones/${FRIEND}/messages`, { ...said, text: 'hello' })
  expect([wrong.status, wrong.json.error]).toEqual([400, `mentions: expected @${ME} in the text`])
})

test('a phone’s caption mentions people, too', async () => {
  const form = new FormData()
  form.append('to', ME)
  form.append('text', `@${ME} see`)
  form.append('mentions', JSON.stringify([ME]))
  form.append('file', new File([new Uint8Array([1])], 'c.png', { type: 'image/png' }))
  expect((await harness.api('POST', `api/phones/${FRIEND}/messages`, form)).status).toBe(201)
  const { content } = await harness.event(event => event.content.filename === 'c.png')
  expect(content).toMatchObject({
    body: 'Amina Tamba see',
    'm.mentions': { user_ids: ['@mg_alice:test.example'] },
  })
  form.set('mentions', ME)
  const wrong = await harness.api('POST', `api/phones/${FRIEND}/messages`, form)
  expect([wrong.status, wrong.json.error]).toEqual([400, 'mentions: expected a list of phone numbers'])
})

test('a phone’s contact card is a file', async () => {
  const contact_card = { name: 'Ada Baker', phones: ['4477009001'] }
  await harness.api('POST', `api/phones/${FRIEND}/messages`, { to: ME, contact_card })
  const { content } = await harness.event(event => event.content.body === 'Ada Baker.vcf')
  expect(content).toMatchObject({ msgtype: 'm.file', info: { mimetype: 'text/vcard' } })
  const card = new TextDecoder().decode(await harness.download(String(content.url)))
  expect(card).toContain('FN:Ada Baker\r\nTEL;TYPE=CELL:+4477009001\r\n')
})
