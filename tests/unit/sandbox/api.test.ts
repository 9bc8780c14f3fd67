/** The sandbox's own API: what it accepts and refuses. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectShortTurns } from '../../support/longest-turn.ts'
import { createHarness, type Harness, type Json } from './harness.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({ maxUploadBytes: 1000 })
})
afterAll(() => harness.close())

const messagesPath = 'api/phones/1234567890/messages'

describe('phones', () => {
  test('are seeded once, and listed', async () => {
    const { json } = await harness.api('GET', 'api/phones')
    expect(json[0]).toEqual({
      phone: '237123456789',
      name: 'Amina Tamba',
      echo: true,
      platforms: ['wa', 'signal', 'telegram'],
      two_factor: false,
      avatar_url: null,
      linked: [],
    })
  })

  test('are made and changed, keeping what is not given', async () => {
    const made = await harness.api('POST', 'api/phones', { phone: '+44 20 7946-0000', name: 'Nell' })
    expect([made.status, made.json.phone, made.json.echo]).toEqual([201, '442079460000', true])
    const changed = await harness.api('POST', 'api/phones', {
      phone: '442079460000',
      echo: false,
      contacts: [{ phone: '1234567890', name: 'Jo' }],
    })
    expect(changed.status).toBe(200)
    expect(changed.json).toMatchObject({
      name: 'Nell',
      echo: false,
      contacts: [{ phone: '1234567890', name: 'Jo' }],
    })
  })

  test('of which there are many are listed, and nobody waits for it', async () => {
    const before = (await harness.api('GET', 'api/phones')).json
    harness.database.transaction(() => {
      for (let at = 0; at < 5_000; at++) {
        harness.database.run(
          `INSERT INTO sandbox_phone (phone, name, platforms, created_at)
           VALUES (?, 'Many', '["wa", "signal", "telegram"]', 9e15)`,
          [`${4_917_000_000_000 + at}`],
        )
      }
    })()
    const ask = async () => {
      const request = new Request('http://localhost/sandbox/api/phones')
      await (await harness.sandbox.fetch(request)).arrayBuffer()
    }
    await expectShortTurns(() => Promise.all([ask(), ask(), ask()]))
    const { json } = await harness.api('GET', 'api/phones')
    expect(json.slice(0, before.length)).toEqual(before)
    expect(json.slice(before.length).map(({ phone }: Json) => phone)).toEqual(
      Array.from({ length: 5_000 }, (_, at) => `${4_917_000_000_000 + at}`),
    )
    harness.database.run("DELETE FROM sandbox_phone WHERE name = 'Many'")
  })

  test('are given so many contacts at once, and groups so many members', async () => {
    const numbers = Array.from({ length: 1_001 }, (_, at) => `${4_917_000_000_000 + at}`)
    const contacts = numbers.map(phone => ({ phone, name: 'Jo' }))
    expect(await harness.api('POST', 'api/phones', { phone: '5550199', contacts })).toMatchObject({
      status: 400,
      json: { error: 'contacts: expected at most 1000 contacts in one call' },
    })
    const group = { name: 'Many', members: numbers }
    expect(await harness.api('POST', 'api/groups', group)).toMatchObject({
      status: 400,
      json: { error: 'members: expected at most 1000 members' },
    })
  })

  test('every number exists, with a name of its own that stays', async () => {
    const one = await harness.api('GET', 'api/phones/0123456789')
    expect(one.status).toBe(200)
    expect((await harness.api('GET', 'api/phones/0123456789')).json.name).toBe(one.json.name)
    expect((await harness.api('GET', 'api/phones/9991234567')).status).toBe(404)
    expect((await harness.api('GET', 'api/phones/abc')).json.code).toBe('not_found')
  })
})

describe('messages', () => {
  test('that are not in their charset are refused, in JSON and in forms', async () => {
    const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
    const part = (name: string, value: string) =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    for (const [type, body] of [
      ['application/json', '{"to":"5550199","text":"caf\xe9"}'],
      ['multipart/form-data; boundary=b', `${part('to', '5550199')}${part('text', 'caf\xe9')}--b--\r\n`],
    ] as const) {
      const answer = await harness.api('POST', messagesPath, latin1(body), { 'content-type': type })
      expect([answer.status, answer.json.error]).toEqual([400, expect.stringContaining('UTF-8')])
    }
    const declared = latin1('{"to":"5550199","text":"caf\xe9"}')
    const type = { 'content-type': 'application/json; charset=iso-8859-1' }
    expect((await harness.api('POST', 'api/phones/5550198/messages', declared, type)).json.text).toBe('café')
  })

  test('are read by chat, from a place on, and the last few', async () => {
    for (const text of ['one', 'two', 'three'])
      await harness.api('POST', messagesPath, { to: '5550100', text })
    await harness.api('POST', messagesPath, { to: '5550101', text: 'elsewhere' })
    const all = await harness.messages('1234567890')
    expect(all.map(message => message.text)).toEqual(['one', 'two', 'three', 'elsewhere'])
    const texts = async (query: string) =>
      (await harness.messages('1234567890', query)).map(message => message.text)
    expect(await texts('?chat=5550100')).toEqual(['one', 'two', 'three'])
    expect(await texts(`?after=${all[0]?.id}`)).toEqual(['two', 'three', 'elsewhere'])
    expect(await texts(`?after=${all[0]?.id}&limit=1`)).toEqual(['two'])
    expect(await texts('?limit=2')).toEqual(['three', 'elsewhere'])
    expect(await texts('?chat=5550199')).toEqual([])
  })

  test('have a time in RFC 3339 and one place in the order', async () => {
    const { json } = await harness.api('POST', messagesPath, { to: '5550100', text: 'when' })
    expect(json.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    expect((await harness.messages('5550100')).filter(message => message.id === json.id)).toHaveLength(1)
  })

  test.each<[Json, string]>([
    [{ text: 'x' }, 'to: expected'],
    [{ to: 'abc', text: 'x' }, 'to: expected a phone number'],
    [
      { to: '5550100' },
      'text: expected text, or a file, location, poll, vote, call, reaction, edit or delete',
    ],
    [{ to: '5550100', text: 5 }, 'text: expected text'],
    [{ to: '5550100', text: 'x', platform: 'pigeon' }, 'platform: expected one of wa'],
    [{ to: '5550100', text: 'x', type: 'dance' }, 'type: expected one of'],
    [{ to: '5550100', type: 'image' }, 'file: expected'],
    [
      { vote: { message: '3EB0' } },
      'vote.options: expected a list of options; an empty one takes the vote back',
    ],
    [{ to: '5550100', type: 'location' }, 'location: expected'],
    [{ to: '5550100', location: { latitude: 91, longitude: 0 } }, 'location.latitude'],
  ])('refuses %p', async (body, error) => {
    const answer = await harness.api('POST', messagesPath, body)
    expect([answer.status, answer.json.code]).toEqual([400, 'bad_request'])
    expect(answer.json.error).toContain(error)
  })

  test('says what does not exist', async () => {
    const unknown = [
      { to: '9991234', text: 'x' },
      { group: 'nope', text: 'x' },
      { to: '5550100', text: 'x', reply_to: 'nope' },
    ]
    for (const body of unknown) expect((await harness.api('POST', messagesPath, body)).status).toBe(404)
    expect(
      (await harness.api('POST', 'api/phones/9991234/messages', { to: '5550100', text: 'x' })).status,
    ).toBe(404)
    expect((await harness.api('GET', `${messagesPath}?after=nope`)).status).toBe(400)
    const others = (await harness.messages('5550100'))[0]
    const edit = await harness.api('POST', 'api/phones/5550100/messages', { edit: others?.id, text: 'mine' })
    expect(edit.status).toBe(400)
  })

  test('broken bodies are refused', async () => {
    const post = (body: string, type: string) =>
      harness.sandbox.fetch(
        new Request(`http://localhost/sandbox/${messagesPath}`, {
          method: 'POST',
          body,
          headers: { 'content-type': type },
        }),
      )
    expect((await post('{"to"', 'application/json')).status).toBe(400)
    expect((await post('nothing', 'multipart/form-data')).status).toBe(400)
    expect((await post('--x\r\nbroken', 'multipart/form-data; boundary=x')).status).toBe(400)
  })

  test.each(['application/json', 'application/x-www-form-urlencoded'])(
    'a %s body without end is not read to its end',
    async type => {
      let read = 0
      const body = new ReadableStream({
        pull(controller) {
          read += 65_536
          if (read > 64 * 1024 * 1024) controller.close()
          else controller.enqueue(new Uint8Array(65_536))
        },
      })
      const login = await harness.provision('POST', 'login/start/qr')
      const step = login.body as { display_and_wait?: { data?: string } }
      const code = step.display_and_wait?.data?.split('/').at(-1)
      const path = type.endsWith('json') ? messagesPath : `link/${code}`
      const answer = await harness.sandbox.fetch(
        new Request(`http://localhost/sandbox/${path}`, {
          method: 'POST',
          body,
          headers: { 'content-type': type, accept: 'application/json' },
        }),
      )
      expect(answer.status).toBe(413)
      expect(read).toBeLessThan(2 * 1024 * 1024)
    },
  )

  test('a file over the limit is refused, and none of it kept', async () => {
    const form = new FormData()
    form.append('to', '5550100')
    form.append('file', new File([new Uint8Array(1001)], 'big.bin'))
    const { status, json } = await harness.api('POST', messagesPath, form)
    expect([status, json.code]).toEqual([413, 'too_large'])
    const left = [...new Bun.Glob('**').scanSync(`${harness.folder}/sandbox-media`)]
    expect(left).toEqual([])
  })

  test("a file's name is read as browsers write it", async () => {
    const body = [
      '--x\r\nContent-Disposition: form-data; name="to"\r\n\r\n5550100\r\n',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="ünï %22q%22%0D%0A%41.pdf"\r\n\r\nx\r\n',
      '--x--\r\n',
    ].join('')
    const headers = { 'content-type': 'multipart/form-data; boundary=x' }
    const request = new Request(`http://localhost/sandbox/${messagesPath}`, { method: 'POST', body, headers })
    const sent = (await (await harness.sandbox.fetch(request)).json()) as Json
    expect(sent.file).toMatchObject({ name: 'ünï "q" %41.pdf' })
  })
})

describe('faults and groups', () => {
  test('bad values name their field', async () => {
    const fault = await harness.api('POST', 'api/faults', { fail_next: -1 })
    expect([fault.status, fault.json.error]).toEqual([400, 'fail_next: expected 0 or more'])
    expect((await harness.api('POST', 'api/faults', { fial_next: 1 })).status).toBe(400)
    const group = await harness.api('POST', 'api/groups', { members: [] })
    expect([group.status, group.json.error]).toEqual([400, 'name: expected a name'])
  })

  test('each simulated platform has the same two groups', async () => {
    const { json } = await harness.api('GET', 'api/groups')
    expect(json.map((group: Json) => group.invite_link)).toEqual([
      'https://chat.whatsapp.com/invite123',
      'https://chat.whatsapp.com/invite456',
      'https://signal.group/#invite123',
      'https://signal.group/#invite456',
      'https://t.me/+invite123',
      'https://t.me/+invite456',
    ])
  })
})

describe('safety', () => {
  test('unknown paths and methods say so', async () => {
    expect((await harness.api('GET', 'nothing')).status).toBe(404)
    expect((await harness.api('DELETE', 'api/phones')).status).toBe(405)
  })

  test('every answer has a strict content policy', async () => {
    for (const path of ['', 'assets/app.js', 'api/phones', 'nothing']) {
      const { headers } = await harness.api('GET', path)
      expect(headers.get('content-security-policy')).toStartWith("default-src 'self'")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
  })

  test('pages of other sites can change nothing', async () => {
    const { status } = await harness.api(
      'POST',
      messagesPath,
      { to: '5550100', text: 'x' },
      { 'sec-fetch-site': 'cross-site' },
    )
    expect(status).toBe(403)
  })

  test('a page that someone sends is a download, not a page', async () => {
    const form = new FormData()
    form.append('to', '5550100')
    form.append('file', new File(['<script>alert(1)</script>'], 'x.html', { type: 'text/html' }))
    const { json } = await harness.api('POST', messagesPath, form)
    const { headers } = await harness.api('GET', json.file.url.replace('/sandbox/', ''))
    expect(headers.get('content-disposition')).toStartWith('attachment')
  })
})

test('an error says the first thousand characters of what was given', async () => {
  const { status, json } = await harness.api('GET', `api/${'x'.repeat(3_000)}`)
  expect(status).toBe(404)
  const text = String(json.error)
  expect(text).toStartWith('there is nothing at /sandbox/api/xxx')
  expect([text.length, text.at(-1)]).toEqual([1_001, '…'])
})
