/** Texts of bots: bridgev2's, and those of older bridges in Go and in Python. */
import { describe, expect, test } from 'bun:test'
import {
  asksForSomething,
  COOKIES,
  commandsIn,
  contactIn,
  contactsIn,
  flowsIn,
  joinedIn,
  loginSaying,
  loginsIn,
  promptedField,
  saysNobody,
  textOf,
} from '../../../src/bridges/bot-texts.ts'

const event = (content: Record<string, unknown>) => ({
  event_id: '$e',
  room_id: '!r:s',
  sender: '@bot:s',
  type: 'm.room.message',
  origin_server_ts: 0,
  content,
})
const says = (body: string) => loginSaying(event({ msgtype: 'm.notice', body }))

test('commands of a help text', () => {
  const help = [
    'Parameters in [square brackets] are optional.',
    '#### Authentication',
    '**login** [_flow ID_] - Log into the bridge',
    '**list-logins** - List your logins',
    '* **join** [login ID] <invite link> - Join a group',
  ].join('\n')
  expect([...commandsIn(help)]).toEqual([
    ['login', '[_flow ID_]'],
    ['list-logins', ''],
    ['join', '[login ID] <invite link>'],
  ])
  expect(commandsIn('I have no commands').size).toBe(0)
})

test('flows', () => {
  const listed =
    'Invalid login flow `?`. Available options:\n\n* `qr` - Scan a QR code\n* `phone` - Use a number - any'
  expect(flowsIn(listed)).toEqual([
    { id: 'qr', name: 'qr', description: 'Scan a QR code' },
    { id: 'phone', name: 'phone', description: 'Use a number - any' },
  ])
})

describe('logins', () => {
  const login = { phone: null, stateEvent: null, reason: null }
  test.each([
    [
      '\n\n* `237` (+237) - `CONNECTED`\n* `5f0c-11` (Ada (work)) - `BAD_CREDENTIALS`\n* `x` (x) - ``',
      [
        { ...login, id: '237', name: '+237', phone: '237', stateEvent: 'CONNECTED' },
        { ...login, id: '5f0c-11', name: 'Ada (work)', stateEvent: 'BAD_CREDENTIALS' },
        { ...login, id: 'x', name: 'x' },
      ],
    ],
    ["You're not logged in", []],
    ["You're not logged into WhatsApp.", []],
    [
      'Logged in as +237 123 (device #7), connection to WhatsApp OK (probably)',
      [{ ...login, id: '237123', name: '+237 123', phone: '237123' }],
    ],
    ["You're logged in as @ada", [{ ...login, id: '@ada', name: '@ada' }]],
  ])('%j', (text, logins) => expect(loginsIn(text)).toEqual(logins))
})

describe('people', () => {
  test('with their Matrix user and room', () => {
    const content = {
      body: 'Created chat with `ACo/1` / Ann: Ann (https://matrix.to/#/!abc:s)',
      formatted_body:
        'Created chat with <code>ACo/1</code> / <a href="https://matrix.to/#/@li_=2f:s">Ann &amp; Co</a>: <a href="https://matrix.to/#/%21abc%3As?via=s">Ann</a>',
    }
    expect(contactIn(textOf(content))).toEqual({
      id: 'ACo/1',
      matrixUserId: '@li_=2f:s',
      name: 'Ann & Co',
      phone: null,
      identifiers: [],
      roomId: '!abc:s',
    })
  })

  test('by name or id alone', () => {
    expect(contactIn('Found `1` / Bob')).toMatchObject({ id: '1', name: 'Bob', matrixUserId: null })
    expect(contactIn('Found `1`')).toMatchObject({ id: '1', name: '1' })
    expect(contactIn('Failed to resolve identifier: no')).toBeNull()
  })

  test('as a list', () => {
    const html =
      '<p>Search results:</p>\n<ul>\n<li><code>1</code> / <a href="https://matrix.to/#/@x_1:s">Ann</a> - DM portal: <a href="https://matrix.to/#/!r:s">Ann</a></li>\n<li><code>2</code> / Bob</li>\n</ul>'
    expect(contactsIn(textOf({ body: '', formatted_body: html }))).toMatchObject([
      { id: '1', name: 'Ann', matrixUserId: '@x_1:s', roomId: '!r:s' },
      { id: '2', name: 'Bob', roomId: null },
    ])
  })

  test.each([
    ['Identifier `x` not found', true],
    ['Failed to resolve identifier: the server said +999 is not on WhatsApp', true],
    ['Failed to resolve identifier: no such user', true],
    ['Failed to resolve identifier: connection closed', false],
    ["You're not logged in", false],
  ])('%s: nobody? %p', (text, nobody) => expect(saysNobody(text)).toBe(nobody))
})

test.each([
  [
    'Successfully joined group `5@g.us`, the portal should be created momentarily',
    { channelId: '5@g.us', name: null, already: false },
  ],
  ['Successfully joined Friends & Co', { channelId: null, name: 'Friends & Co', already: false }],
  ["You're already a member of Friends", { channelId: null, name: 'Friends', already: true }],
  ['Failed to join group: gone', null],
  ['Invalid invite link', null],
])('%s', (text, joined) => expect(joinedIn(text)).toEqual(joined))

describe('a login', () => {
  test('QR codes, and their refreshes', () => {
    const image = { msgtype: 'm.image', filename: 'qr.png', body: '2@abc' }
    expect(loginSaying(event(image))).toEqual({ kind: 'qr', data: '2@abc' })
    const edit = { ...image, body: '* 2@abc', 'm.new_content': { ...image, body: '2@def' } }
    expect(loginSaying(event(edit))).toEqual({ kind: 'qr', data: '2@def' })
  })

  const picture = { msgtype: 'm.image', url: 'mxc://s/1', filename: 'captcha.png', body: 'captcha.png' }

  test('a picture that belongs to a question is no QR code', () => {
    expect(loginSaying(event({ ...picture, info: { mimetype: 'image/png' } }))).toEqual({
      kind: 'picture',
      picture: { mxcUri: 'mxc://s/1', fileName: 'captcha.png', mimeType: 'image/png' },
    })
    expect(loginSaying(event({ ...picture, msgtype: 'm.audio' }))).toMatchObject({
      picture: { mimeType: '' },
    })
    expect(loginSaying(event({ ...picture, body: '2@abc' })).kind).toBe('qr')
  })

  test.each(['<https://x.example>:', '[https://x.example](https://x.example):', 'https://x.example:'])(
    'a passkey, asked for on %s',
    on => {
      const ask = (question: string) =>
        says(
          `Run the following JS on ${on}\n\n\`\`\`js\nconsole.log((await navigator.credentials.get({\n  publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(${question})\n})).toJSON())\n\`\`\`\n\nThen paste the resulting JSON object here.`,
        )
      const publicKey = { challenge: 'x', allowCredentials: [{ id: 'a)})' }] }
      expect(ask(JSON.stringify(publicKey, null, 4))).toEqual({
        kind: 'passkey',
        url: 'https://x.example',
        publicKey,
      })
      expect(ask('null')).toEqual({
        kind: 'failed',
        message: `asks for a passkey in words that we don't know: Run the following JS on ${on}`,
      })
    },
  )

  test.each([
    ['`ABCD-1234`', { kind: 'code', data: 'ABCD-1234' }],
    ['🐱', { kind: 'emoji', data: '🐱' }],
    ['Login URL: <https://x.example/login>', { kind: 'cookies', url: 'https://x.example/login' }],
    ['You already have an ongoing login. You can use `!wa cancel` to cancel it.', { kind: 'busy' }],
  ])('%s', (text, saying) => expect(says(text)).toEqual(saying as never))

  test.each([
    ['Invalid value: phone number must start with +', 'refused'],
    ['Failed to parse input as JSON: invalid character', 'refused'],
    ['Missing some keys: [li_at]', 'refused'],
    ['Input is not valid JSON', 'refused'],
    ['This login flow requires a client that supports client HTTP requests', 'failed'],
    ['No login flows available.', 'failed'],
    ['Failed to submit input: wrong code', 'failed'],
    ['Login failed: context deadline exceeded', 'failed'],
    ['Failed to start login: no network', 'failed'],
    ['QR code timed out. Please restart the login.', 'failed'],
    ["You're already logged in", 'failed'],
    ['You have reached the maximum number of logins (1).', 'failed'],
    ['Successfully logged in as +237123', 'succeeded'],
    ['Logged in as @ada', 'succeeded'],
    ['Scan the QR code with the WhatsApp mobile app to log in', 'says'],
    ["You're not logged in", 'says'],
  ])('%s: %s', (text, kind) => expect(says(text).kind).toBe(kind as never))

  test('says first which field it is, as all fields of links do', () => {
    const [id, type, name] = Object.keys(promptedField('Please enter your Phone number'))
    expect([id, type, name]).toEqual(['id', 'type', 'name'])
    expect(Object.keys(COOKIES).slice(0, 3)).toEqual(['id', 'type', 'name'])
  })

  test('prompts', () => {
    expect(promptedField('Please enter your Phone number\nWith country code')).toMatchObject({
      id: 'phone_number',
      type: 'phone_number',
      name: 'Phone number',
      description: 'With country code',
      options: [],
    })
    expect(promptedField('Please enter your Data centre\nOptions: `eu`, `us`')).toMatchObject({
      id: 'data_centre',
      type: 'select',
      options: ['eu', 'us'],
    })
    const optional = 'Please enter your Captcha\nIn the picture\nEnter `skip` to skip this field'
    expect(promptedField(optional)).toMatchObject({ description: 'In the picture', required: false })
    const python = 'Your account has two-factor authentication. Please send your password here.'
    expect(asksForSomething(python)).toBe(true)
    expect(promptedField(python)).toMatchObject({ type: 'password' })
    expect(asksForSomething('Scan the QR code with your phone')).toBe(false)
  })
})
