/** A message's parts as Matrix events. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type Message, messages } from '../../../src/db/schema/index.ts'
import type { SendContent } from '../../../src/domain/views/message-content.ts'
import type { FilePlan } from '../../../src/modules/chats/capabilities.ts'
import { messageEvent } from '../../../src/modules/sending/content/event.ts'
import { htmlOfMarkdown, htmlOfText, notMentioned } from '../../../src/modules/sending/content/formatting.ts'
import { stagedFile } from '../../support/messages.ts'
import { insertDevice, insertIdentity, insertMessage } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const NOBODY = new Map<string, string>()
const ADA = new Map([['@+49 151', '@whatsapp_49151:s']])
const PILL = '<a href="https://matrix.to/#/@whatsapp_49151:s">@+49 151</a>'
const HTML = { format: 'org.matrix.custom.html' }

let db: TempDb
beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
})
afterEach(() => db.destroy())

/** As it is read from its row. */
function stored(content: SendContent, change: Partial<Message> = {}): Message {
  insertMessage(db, { text: null, content, ...change })
  const [row] = db.orm.query.messages.findMany().sync()
  if (!row) throw new Error('no row')
  return row
}

describe('a location', () => {
  test.each([
    [{ latitude: 52.5, longitude: 13.4, name: 'Berlin' }, 'geo:52.5,13.4', 'Berlin'],
    [{ latitude: -0.1234567, longitude: -180 }, 'geo:-0.123457,-180', '-0.123457, -180'],
    // Without an exponent, which a geo URI can't have.
    [{ latitude: 1e-7, longitude: 90.0000001 }, 'geo:0,90', '0, 90'],
  ])('%j', async (location, uri, body) => {
    expect(await messageEvent(stored({ location }), undefined, NOBODY)).toEqual({
      type: 'm.room.message',
      content: { msgtype: 'm.location', geo_uri: uri, body },
    })
  })
})

test('a poll is an event of its own, with a text beside it, and may answer a message', async () => {
  const poll = { question: 'When?', options: ['Mon', 'Tue'], max_selections: 2 }
  expect(await messageEvent(stored({ poll }, { replyTo: '$q' }), undefined, NOBODY)).toEqual({
    type: 'org.matrix.msc3381.poll.start',
    content: {
      'org.matrix.msc3381.poll.start': {
        kind: 'org.matrix.msc3381.poll.disclosed',
        max_selections: 2,
        question: { 'org.matrix.msc1767.text': 'When?' },
        answers: [
          { id: '1', 'org.matrix.msc1767.text': 'Mon' },
          { id: '2', 'org.matrix.msc1767.text': 'Tue' },
        ],
      },
      'org.matrix.msc1767.text': 'When?\n1. Mon\n2. Tue',
      'm.relates_to': { 'm.in_reply_to': { event_id: '$q' } },
    },
  })
})

test('a poll allows one choice unless it says more', async () => {
  const message = stored({ poll: { question: 'q', options: ['a', 'b'] } })
  const { content } = await messageEvent(message, undefined, NOBODY)
  expect(content['org.matrix.msc3381.poll.start']).toMatchObject({ max_selections: 1 })
})

describe('a text', () => {
  const content = async (text: string, parts: SendContent, mentioned = NOBODY) =>
    (await messageEvent(stored(parts, { text }), undefined, mentioned)).content

  test('with Markdown keeps it, and has it as HTML beside it, without HTML of its own and pictures', async () => {
    const text = '**bold** _it_\nline\n\n- one\n- <b>two</b> ![x](http://a.b/c.png) [l](javascript:1)'
    expect(await content(text, { format: 'markdown' })).toEqual({
      msgtype: 'm.text',
      body: text,
      ...HTML,
      formatted_body:
        '<p><strong>bold</strong> <em>it</em><br>\nline</p>\n<ul>\n<li>one</li>\n' +
        '<li>&lt;b&gt;two&lt;/b&gt; !<a href="http://a.b/c.png">x</a> [l](javascript:1)</li>\n</ul>',
    })
  })

  test('that mentions people links to them, with Markdown and without', async () => {
    const parts: SendContent = { mentions: ['+49 151'] }
    const people = { 'm.mentions': { user_ids: ['@whatsapp_49151:s'] } }
    expect(await content('a <@+49 151>\n@+49 1517', parts, ADA)).toEqual({
      msgtype: 'm.text',
      body: 'a <@+49 151>\n@+49 1517',
      ...HTML,
      formatted_body: `a &lt;${PILL}&gt;<br>@+49 1517`,
      ...people,
    })
    db.orm.delete(messages).run()
    const inMarkdown = await content('*a @+49 151* `@+49 151`', { ...parts, format: 'markdown' }, ADA)
    expect(inMarkdown).toMatchObject({
      formatted_body: `<p><em>a ${PILL}</em> <code>@+49 151</code></p>`,
      ...people,
    })
  })

  test('without a preview of its links says so', async () => {
    expect(await content('https://a.b', { link_preview: false })).toEqual({
      msgtype: 'm.text',
      body: 'https://a.b',
      'com.beeper.linkpreviews': [],
    })
  })

  test('of the largest size is formatted in a moment, whatever it has', async () => {
    for (const part of ['[', '*a ', '![', '`', '> ', '- ', '@+49 151 ', '<', '_a*', '[a](']) {
      const startedAt = performance.now()
      await htmlOfMarkdown(part.repeat(60_000 / part.length), ADA)
      expect([part, performance.now() - startedAt < 2_000]).toEqual([part, true])
    }
  })
})

describe('a mention', () => {
  test.each([
    ['hi @ada!', ['ada'], undefined],
    ['hi @adam', ['ada'], 'ada'],
    ['mail@ada', ['ada'], 'ada'],
    ['@adam and @ada', ['ada', 'adam'], undefined],
    ['(@+49 151)', ['+49 151'], undefined],
    ['@whatsapp_1:s', ['@whatsapp_1:s'], undefined],
    ['ada', ['ada'], 'ada'],
  ])('in %p of %p', (text, contacts, missed) => {
    expect(notMentioned(text, contacts)).toBe(missed)
  })

  test('of the longer of two that begin alike is not that of the shorter', () => {
    const mentioned = new Map([
      ['@a', '@1:s'],
      ['@a b', '@2:s'],
    ])
    expect(htmlOfText('@a b', mentioned)).toBe('<a href="https://matrix.to/#/@2:s">@a b</a>')
  })
})

describe('a file', () => {
  const media = {
    ...stagedFile({ width: 1, height: 2, durationMs: 3 }),
    sourceUrl: null,
    createdAt: 0,
    updatedAt: 0,
  }
  const event = (kind: FilePlan['kind'], text: string | null, parts: SendContent = {}) => {
    const plan = { kind, mimeType: 'image/webp', isCaptionApart: false }
    return messageEvent(stored(parts, { text }), { media, mxcUri: 'mxc://s/1', plan }, NOBODY)
  }

  test('as a sticker is an event of that type', async () => {
    expect(await event('sticker', null)).toEqual({
      type: 'm.sticker',
      content: {
        body: 'a.pdf',
        filename: 'a.pdf',
        url: 'mxc://s/1',
        info: { mimetype: 'image/webp', size: 1, w: 1, h: 2, duration: 3 },
      },
    })
  })

  test('as a GIF is a video that is marked so, and its caption may be formatted', async () => {
    expect((await event('gif', '*x*', { format: 'markdown' })).content).toMatchObject({
      msgtype: 'm.video',
      body: '*x*',
      filename: 'a.pdf',
      formatted_body: '<p><em>x</em></p>',
      info: { 'fi.mau.gif': true },
    })
  })
})
