/** Logins by bots unlike bridgev2's, and by terse ones. tests/e2e tests bridgev2's own bot. */
import { describe, expect, test } from 'bun:test'
import { type BotCommand, createBotCommands } from '../../../src/bridges/bot-commands.ts'
import { type BotDriver, createBotDriver } from '../../../src/bridges/bot-driver.ts'
import { BotHelp } from '../../../src/bridges/bot-help.ts'
import { createGroupLinks, type GroupLinks } from '../../../src/bridges/group-links.ts'
import type { AskingStep, LoginStep } from '../../../src/domain/login-steps.ts'
import { BOT, type BotActs, HastyClock, ScriptedBot } from '../../support/scripted-bot.ts'

const UNKNOWN = 'Unknown command, use the `help` command for help.'
const QR = { msgtype: 'm.image', body: '2@one', filename: 'qr.png' }
const REFRESHED = {
  ...QR,
  'm.new_content': { ...QR, body: '2@two' },
  'm.relates_to': { rel_type: 'm.replace', event_id: '$' },
}

/** @param script the bot's actions by command; it answers others as unknown */
function driverOf(script: Record<string, (acts: BotActs) => void>): {
  driver: BotDriver
  groupLinks: GroupLinks
  bot: ScriptedBot
  clock: HastyClock
} {
  const bot = new ScriptedBot((text, acts) => (script[text] ?? (({ say }) => say(UNKNOWN)))(acts))
  const clock = new HastyClock()
  const commands = createBotCommands('x', clock)
  const command: BotCommand = (_userId, line, withinMs) =>
    commands.run(bot.session, BOT, null, line, withinMs)
  const help = new BotHelp(command, clock)
  const driver = createBotDriver({
    platform: 'x',
    bot: BOT,
    sessions: { actingAs: () => bot.session },
    command,
    help,
    clock,
  })
  return { driver, groupLinks: createGroupLinks('x', command, help), bot, clock }
}

const says = (text: string) => (acts: BotActs) => void acts.say(text)
const wait = (driver: BotDriver, step: LoginStep) =>
  driver.waitForLogin('@u:s', step as LoginStep & { kind: 'display' }, new AbortController().signal)
const submit = (driver: BotDriver, step: LoginStep, value: string) =>
  driver.submitLogin('@u:s', step as AskingStep, { value })

describe('a bot of before bridgev2, in Go', () => {
  const script = {
    help: says(
      '**help** - Help\n**login** - Link the bridge to your account\n**ping** - Check the connection',
    ),
    ping: says("You're not logged into WhatsApp."),
  }

  test('has one login, without flows, by QR code', async () => {
    let room: BotActs | undefined
    let linked = false
    const { driver } = driverOf({
      ...script,
      ping: ({ say }) =>
        say(linked ? 'Logged in as +237 123 (device #3), connection OK' : "You're not logged in."),
      login: acts => {
        room = acts
        acts.show(QR)
      },
    })
    expect(await driver.flows('@u:s')).toMatchObject([{ id: 'login' }])
    expect(await driver.logins('@u:s')).toEqual([])
    const shown = await driver.startLogin('@u:s', 'login')
    expect(shown).toMatchObject({ kind: 'display', display: 'qr', data: '2@one' })
    room?.show(REFRESHED)
    const refreshed = await wait(driver, shown)
    expect(refreshed).toMatchObject({ display: 'qr', data: '2@two' })
    linked = true
    room?.say('Successfully logged in as +237 123 (device #3)')
    expect(await wait(driver, refreshed)).toEqual({ kind: 'complete', loginId: '237123' })
    expect(await driver.logins('@u:s')).toMatchObject([{ id: '237123', phone: '237123' }])
  })

  test.each([
    ['QR code timed out. Please restart the login.', 'bridge_timeout'],
    ["You're already logged in", 'bridge_error'],
    ['Login failed: pair error', 'bridge_error'],
  ])('%s', async (text, code) => {
    const { driver } = driverOf({ ...script, login: says(text) })
    await expect(driver.startLogin('@u:s', 'login')).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
    })
  })

  test('starts chats by `pm`, logs out without an id', async () => {
    const html =
      'Created portal room with <code>1</code> / <a href="https://matrix.to/#/@x_1:s">Ann</a>: <a href="https://matrix.to/#/!r:s">room</a>'
    const { driver } = driverOf({
      'pm 1': ({ show }) => void show({ msgtype: 'm.notice', body: 'Created', formatted_body: html }),
      'logout 237': says('Logged out successfully.'),
      'logout 49': says("You're not logged in."),
    })
    expect(await driver.createDirectChat('@u:s', '237', '1')).toMatchObject({ roomId: '!r:s' })
    await driver.logout('@u:s', '237')
    await expect(driver.logout('@u:s', '49')).rejects.toMatchObject({ code: 'not_found' })
    await expect(driver.resolveIdentifier('@u:s', '237', '1')).rejects.toMatchObject({
      code: 'not_supported',
    })
  })
})

test('a bot of before bridgev2, in Python: questions in sentences, and answers that are taken back', async () => {
  let linked = false
  const { driver, bot } = driverOf({
    help: says('**login** - Get instructions on how to log in'),
    ping: ({ say }) => say(linked ? "You're logged in as @ada" : "You're not logged in."),
    login: says('Please send your phone number here to log in.'),
    '+237123': says('Login code sent to +237123. Please send the code here.'),
    '12345': says('Your account has two-factor authentication. Please send your password here.'),
    secret: ({ say }) => {
      linked = true
      say('Successfully logged in as @ada')
    },
  })
  const number = await driver.startLogin('@u:s', 'login')
  expect(number).toMatchObject({ kind: 'input', fields: [{ id: 'phone_number', type: 'phone_number' }] })
  const code = await submit(driver, number, '+237123')
  expect(code).toMatchObject({ kind: 'input', fields: [{ id: 'code', type: '2fa_code' }] })
  const password = await submit(driver, code, '12345')
  expect(password).toMatchObject({ kind: 'input', fields: [{ id: 'password', type: 'password' }] })
  // While it waits for an answer, the bot still obeys commands.
  for (const answer of ['login', ' LOGIN now', '!tg login', 'secret\nlogin'])
    await expect(submit(driver, password, answer)).rejects.toMatchObject({ code: 'bad_request' })
  expect(await submit(driver, password, 'secret')).toEqual({ kind: 'complete', loginId: '@ada' })
  expect(bot.takenBack).toEqual(['+237123', '12345', 'secret'])
})

test('what clients send stays one word of a command, or is refused before anything is said', async () => {
  const { driver, groupLinks, bot } = driverOf({
    help: says('**join** <link>\n**search**\n**relogin** <id>'),
    'search 1 Ada L': says('No results'),
  })
  for (const call of [
    () => groupLinks.joinGroup('@u:s', '1', 'irc://x loop #lobby'),
    () => driver.resolveIdentifier('@u:s', '1', 'ada logout'),
    () => driver.createDirectChat('@u:s', '1', 'ada\nlogout'),
    () => driver.startLogin('@u:s', 'login', '1 2'),
    () => driver.search('@u:s', '1', 'a\u0000b'),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'bad_request' })
  expect(await driver.search('@u:s', '1', ' Ada\n L ')).toEqual([])
  expect(bot.heard.map(({ text }) => text)).toEqual(['help', 'search 1 Ada L'])
})

describe('what a bot of bridgev2 may leave unsaid', () => {
  const script = {
    help: says('**login** [_flow ID_] - Log in'),
    'login ?': says('Invalid login flow `?`. Available options:\n\n* `qr` - Scan'),
    'list-logins': says("You're not logged in"),
  }
  const listed = '* `5f0c` (Ada) - `CONNECTED`'

  test.each([
    ['that the login is complete', true, { kind: 'complete', loginId: '5f0c' }],
    ['why it ended', false, null],
  ] as const)('%s, when the QR code is taken back', async (_what, isListed, end) => {
    let room: BotActs | undefined
    let shownId = ''
    let linked = false
    const { driver } = driverOf({
      ...script,
      'list-logins': ({ say }) => say(linked ? listed : "You're not logged in"),
      'login qr': acts => {
        room = acts
        shownId = acts.show(QR)
      },
    })
    const shown = await driver.startLogin('@u:s', 'qr')
    linked = isListed
    room?.takeBack(shownId)
    if (end) expect(await wait(driver, shown)).toEqual(end)
    else await expect(wait(driver, shown)).rejects.toMatchObject({ code: 'bridge_error' })
  })

  test('that it is complete, in words that we know', async () => {
    let linked = false
    const { driver } = driverOf({
      ...script,
      'list-logins': ({ say }) => say(linked ? listed : "You're not logged in"),
      'login qr': ({ say }) => {
        linked = true
        say('Willkommen!')
      },
    })
    expect(await driver.startLogin('@u:s', 'qr')).toEqual({ kind: 'complete', loginId: '5f0c' })
  })

  test('what there is to do: then there is only to wait', async () => {
    const { driver } = driverOf({ ...script, 'login qr': says('Confirm on your phone') })
    expect(await driver.startLogin('@u:s', 'qr')).toMatchObject({
      kind: 'display',
      display: 'nothing',
      instructions: 'Confirm on your phone',
    })
  })

  test('everything', async () => {
    const { driver } = driverOf({ ...script, 'login qr': () => undefined })
    await expect(driver.startLogin('@u:s', 'qr')).rejects.toMatchObject({ code: 'bridge_timeout' })
  })

  test('a picture that can’t be had, or is too large: it is asked for without it', async () => {
    const picture = (name: string) => ({
      msgtype: 'm.image',
      url: `mxc://s/${name}`,
      filename: name,
      body: name,
    })
    const { driver, bot } = driverOf({
      ...script,
      'login qr': ({ show, say }) => {
        for (const name of ['gone', 'large', 'fine']) show(picture(name))
        say('Please enter your Captcha\nEnter `skip` to skip this field')
      },
      skip: says('Please enter your Code'),
    })
    bot.files.set('mxc://s/fine', Buffer.from('PNG')).set('mxc://s/large', Buffer.alloc(600_000))
    const asked = await driver.startLogin('@u:s', 'qr')
    expect(asked).toMatchObject({
      fields: [{ id: 'captcha', required: false }],
      attachments: [{ file_name: 'fine', content: Buffer.from('PNG').toString('base64') }],
    })
    expect(await submit(driver, asked, '')).toMatchObject({ fields: [{ id: 'code' }], attachments: [] })
  })

  test('more pictures than are shown, and its hint at the prefix: the last five count, and the hint is no instruction', async () => {
    const { driver, bot } = driverOf({
      ...script,
      'login qr': ({ show, say }) => {
        for (let at = 0; at < 7; at++)
          show({ msgtype: 'm.image', url: `mxc://s/${at}`, filename: `${at}`, body: `${at}` })
        say('This is not your management room: prefixing commands with `!x` is required')
        say('Please enter your Captcha')
      },
    })
    for (let at = 0; at < 7; at++) bot.files.set(`mxc://s/${at}`, Buffer.from('PNG'))
    const asked = (await driver.startLogin('@u:s', 'qr')) as AskingStep & { kind: 'input' }
    expect(asked.attachments.map(({ file_name }) => file_name)).toEqual(['2', '3', '4', '5', '6'])
    expect(asked.instructions).toBe('')
  })

  test('a refused value: it is asked for again, where it is known', async () => {
    const { driver } = driverOf({
      ...script,
      'login qr': says('Please enter your Code'),
      wrong: says('Invalid value: digits only'),
    })
    const asked = (await driver.startLogin('@u:s', 'qr')) as AskingStep
    await expect(submit(driver, asked, 'wrong')).rejects.toMatchObject({
      code: 'bad_request',
      message: 'the bridge refused this: Invalid value: digits only',
    })
    expect(await driver.isLoginAt('@u:s', asked)).toBe(true)
    await driver.cancelLogin('@u:s', asked.processId)
    expect(await driver.isLoginAt('@u:s', asked)).toBe(false)
  })
})

test('logins are asked for again only after a while, or when something has changed', async () => {
  let asked = 0
  const { driver } = driverOf({
    'list-logins': ({ say }) => {
      asked += 1
      say('* `1` (Ada) - `CONNECTED`')
    },
  })
  await Promise.all([driver.logins('@u:s'), driver.logins('@u:s')])
  expect(asked).toBe(1)
  driver.forgetLogins('@u:s')
  expect(await driver.logins('@u:s')).toMatchObject([{ id: '1', stateEvent: 'CONNECTED' }])
  expect(asked).toBe(2)
})

describe('the logins that a bot offers', () => {
  const help = (...lines: string[]) => ({ help: says(lines.map(line => `**${line}`).join('\n')) })

  test('are those commands that its help lists', async () => {
    const { driver, bot } = driverOf({
      ...help(
        'help** - Help',
        'login-cookie** - Log in with cookies',
        'login-matrix** _token_ - Double puppet',
      ),
      'list-logins': says(UNKNOWN),
      ping: says("You're not logged in"),
      'login-cookie': says('Please enter your cookies'),
    })
    const cookies = { id: 'login-cookie', name: 'login-cookie', description: 'Log in with cookies' }
    expect(await driver.flows('@u:s')).toEqual([cookies])
    expect(await driver.startLogin('@u:s', 'login-cookie')).toMatchObject({ kind: 'input' })
    expect(bot.heard.map(({ text }) => text)).not.toContain('login')
  })

  test('are several, where it has several', async () => {
    const { driver } = driverOf(help('login** - Log in', 'login-qr** - Log in by QR code'))
    expect((await driver.flows('@u:s')).map(({ id }) => id)).toEqual(['login', 'login-qr'])
  })

  test('are none, where it lists none, and then none is begun', async () => {
    const { driver, bot } = driverOf(help('help** - Help', 'ping** - Ping'))
    expect(await driver.flows('@u:s')).toEqual([])
    await expect(driver.startLogin('@u:s', 'qr')).rejects.toMatchObject({ code: 'not_supported' })
    expect(bot.heard.map(({ text }) => text)).toEqual(['help'])
  })

  test('are one by the name of `login`, where its help is not understood', async () => {
    const { driver } = driverOf({ help: says('I am but a bot.') })
    expect(await driver.flows('@u:s')).toMatchObject([{ id: 'login' }])
  })
})

describe('a silent bot holds up who links a device for fifteen seconds at most', () => {
  const silence = () => undefined
  const timesOut = { code: 'bridge_timeout', message: expect.stringMatching(/within 1?\d s$/) }

  test('when it says nothing at all', async () => {
    const { driver, clock } = driverOf({ help: silence })
    await expect(driver.flows('@u:s')).rejects.toMatchObject(timesOut)
    expect(clock.steady()).toBeLessThan(15_000)
  })

  test.each([
    ['about logins', { 'list-logins': silence }],
    ['to the login', { 'list-logins': says('No logins'), login: silence }],
  ])('when it says something, and then nothing %s', async (_, script) => {
    const { driver, clock } = driverOf({ help: says('**login** - Log in'), ...script })
    expect(await driver.flows('@u:s', 14_000)).toHaveLength(1)
    await expect(driver.startLogin('@u:s', 'login', undefined, 14_000)).rejects.toMatchObject(timesOut)
    expect(clock.steady()).toBeLessThan(15_000)
  })

  test('when the logins are asked for first, which others then ask for anew', async () => {
    let answer: (acts: BotActs) => void = silence
    const { driver, clock } = driverOf({ 'list-logins': acts => answer(acts) })
    await expect(driver.logins('@u:s', 14_000)).rejects.toMatchObject(timesOut)
    expect(clock.steady()).toBeLessThan(15_000)
    answer = says('No logins')
    expect(await driver.logins('@u:s')).toEqual([])
  })

  test('though another command waits for it as well', async () => {
    const { driver, clock } = driverOf({ help: silence, 'list-logins': silence })
    const logins = driver.logins('@u:s').catch(error => error)
    const begunAt = clock.steady()
    await expect(driver.flows('@u:s')).rejects.toMatchObject(timesOut)
    expect(clock.steady() - begunAt).toBeLessThan(16_000)
    expect(await logins).toMatchObject({ code: 'bridge_timeout' })
  })
})
