/** The page and the link page in a real browser; skipped without one, except in CI. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { chromium as executablePath } from '../../support/chromium.ts'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json } from './harness.ts'

const possible = executablePath !== null || process.env.CI === 'true'
if (!possible)
  console.log('The tests of the page are left out: there is no chromium (CHROMIUM_PATH names one).')

const ARGS = ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-gpu']

describe.skipIf(!possible)('in a browser', () => {
  let harness: Harness
  let server: ReturnType<typeof Bun.serve>
  let browser: Browser
  let problems: string[]

  beforeAll(async () => {
    harness = await createHarness()
    server = Bun.serve({ port: 0, idleTimeout: 0, fetch: request => harness.sandbox.fetch(request) })
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ARGS })
  }, 30_000)
  afterAll(async () => {
    await browser?.close()
    await server?.stop(true)
    await harness?.close()
  })

  async function open(path: string, width = 1280): Promise<Page> {
    const page = await browser.newPage({ viewport: { width, height: 800 } })
    problems = []
    page.on('console', message => {
      if (message.type() === 'error') problems.push(message.text())
    })
    page.on('pageerror', error => problems.push(error.message))
    await page.goto(new URL(path, server.url).href)
    return page
  }

  test('shows what to do first while no phone is linked', async () => {
    const page = await open('/sandbox')
    await page.getByRole('heading', { name: 'Link a phone first' }).waitFor()
    await page.getByText('Amina Tamba').waitFor()
    expect(problems).toEqual([])
    await page.close()
  }, 20_000)

  test('links by the link page', async () => {
    const start = await harness.provision('POST', 'login/start/qr')
    const shown = start.body.display_and_wait as Json
    const page = await open(new URL(String(shown.data)).pathname)
    await page.getByRole('heading', { name: 'Link a device?' }).waitFor()
    expect(await page.getByRole('radio', { checked: true }).inputValue()).toBe('237123456789')
    await page.getByRole('button', { name: 'Link device' }).click()
    await page.getByRole('heading', { name: 'Device linked' }).waitFor()
    expect((await harness.provision('GET', 'whoami')).body.logins).toMatchObject([{ id: '237123456789' }])
    expect(problems).toEqual([])
    await page.close()
  }, 20_000)

  test('writes, shows live what arrives, replies and reacts', async () => {
    await harness.api('POST', 'api/phones/1234567890/messages', { to: '237123456789', text: 'Hello there' })
    const page = await open('/sandbox#1234567890/wa/237123456789')
    await page.getByLabel('Message', { exact: true }).fill('Written in the page')
    await page.keyboard.press('Enter')
    await page.locator('.bubble.own', { hasText: 'Written in the page' }).waitFor()
    await harness.event(event => event.content.body === 'Written in the page')
    await harness.api('POST', 'api/phones/237123456789/messages', {
      to: '1234567890',
      text: 'Answered elsewhere',
    })
    const answer = page.locator('.bubble.theirs', { hasText: 'Answered elsewhere' })
    await answer.waitFor()
    await answer.hover()
    await answer.getByTitle('Reply').click()
    await page.getByLabel('Message', { exact: true }).fill('A reply')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('.bubble', { hasText: 'A reply' }).locator('blockquote').waitFor()
    await answer.hover()
    await answer.getByTitle('React').first().click()
    await answer.locator('.reactions').waitFor()
    expect(problems).toEqual([])
    await page.close()
  }, 20_000)

  test('sends a file', async () => {
    const page = await open('/sandbox#1234567890/wa/237123456789')
    await page.getByLabel('Message', { exact: true }).waitFor()
    const file = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('some notes') }
    await page.locator('input[type=file]').setInputFiles(file)
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('.bubble.own', { hasText: 'notes.txt' }).waitFor()
    await harness.event(event => event.content.filename === 'notes.txt')
    expect(problems).toEqual([])
    await page.close()
  }, 20_000)

  test('starts a chat, and sets and clears faults', async () => {
    const page = await open('/sandbox#1234567890')
    await page.getByRole('button', { name: 'New chat' }).click()
    await page.getByLabel('Phone number').fill('5550177')
    await page.getByLabel('First message').fill('Hi stranger')
    await page.getByRole('button', { name: 'Open chat' }).click()
    await page.locator('.bubble.own', { hasText: 'Hi stranger' }).waitFor()
    await page.getByRole('button', { name: 'Faults' }).click()
    await page.getByLabel('Offline').first().check()
    await waitFor(async () => (await harness.api('GET', 'api/faults')).json.wa.offline)
    await page.getByRole('button', { name: 'Clear all' }).click()
    await waitFor(async () => !(await harness.api('GET', 'api/faults')).json.wa.offline)
    expect(problems).toEqual([])
    await page.close()
  }, 20_000)

  test('votes, makes a poll, reads, and changes a group', async () => {
    await harness.api('POST', 'api/phones', { phone: '1234567890', echo: false })
    const poll = { question: 'Where?', options: ['Here', 'There'] }
    await harness.api('POST', 'api/phones/237123456789/messages', { to: '1234567890', poll })
    const page = await open('/sandbox#1234567890/wa/237123456789')
    await page.getByRole('button', { name: /There/ }).click()
    await page.locator('.poll button[aria-pressed=true]', { hasText: 'There' }).waitFor()
    await page.getByRole('button', { name: 'Something else' }).click()
    await page.getByLabel('Question').fill('And when?')
    await page.getByLabel('Options').fill('now\nnever')
    await page.getByRole('button', { name: 'Send poll' }).click()
    await page.locator('.bubble.own', { hasText: 'And when?' }).waitFor()
    await harness.api('PATCH', 'api/phones/237123456789/chats/1234567890', { typing: true })
    await page.getByText('+237123456789 types…').waitFor()
    await harness.api('POST', 'api/phones/237123456789/messages', { to: '1234567890', text: 'read this' })
    await page.getByRole('button', { name: 'Details' }).click()
    await page.getByRole('button', { name: 'Mark as read (1)' }).click()
    await page.getByRole('button', { name: 'Mark as read', exact: true }).waitFor()

    const members = ['1234567890', '237123456789']
    const { json: group } = await harness.api('POST', 'api/groups', { name: 'Paged', members })
    await page.goto(new URL(`/sandbox#1234567890/wa/${encodeURIComponent(group.id)}`, server.url).href)
    await page.reload()
    await page.getByRole('button', { name: 'Details' }).click()
    await page.getByLabel('Topic').fill('By clicking')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByLabel('New member').fill('5550188')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('list', { name: 'Members' }).getByText('+5550188').waitFor()
    const { json } = await harness.api('GET', `api/groups/${group.id}`)
    expect(json).toMatchObject({ topic: 'By clicking', members: ['1234567890', '237123456789', '5550188'] })
    expect(problems).toEqual([])
    await page.close()
  }, 30_000)

  test('on a narrow screen shows one list at a time', async () => {
    const page = await open('/sandbox', 360)
    await page.getByRole('button', { name: /Jonas Weber/ }).click()
    await page.getByRole('button', { name: /Amina Tamba/ }).click()
    await page.getByLabel('Message', { exact: true }).waitFor()
    await page.getByLabel('Back to the chats').click()
    await page.getByLabel('Back to the phones').click()
    await page.getByRole('heading', { name: 'Phones' }).waitFor()
    const overflow = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
    expect(overflow).toBe(false)
    await page.close()
  }, 20_000)
})
