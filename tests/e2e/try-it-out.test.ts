/**
 * Calls of the first steps work as the API's page fills them in, twice in a row: in Chromium, with
 * both kinds of authentication, forms included.
 */
import { expect, test } from 'bun:test'
import { type Browser, type Locator, type Page, chromium as playwright } from 'playwright-core'
import openapi from '../../openapi.json'
import { chromium } from '../support/chromium.ts'
import type { Account, GatewayClient } from '../support/gateway-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { testGateway } from '../support/test-gateway.ts'

/** The device of the examples. */
const DEVICE = '237123456789'
const TRIED = [
  ...['createCredential', 'listCredentials', 'createToken', 'listTokens'],
  ...['addDevice', 'listDevices', 'getDevice', 'updateDevice', 'listContacts', 'checkContact'],
  ...['createGroup', 'listGroups', 'listChats', 'getChat', 'listChatMessages', 'listMembers'],
  ...['sendMessage', 'listMessages', 'getMessage', 'editMessage', 'reactToMessage', 'markChatRead'],
]
/** The thing exists already. */
const REFUSALS = [409]

const operations = Object.entries(openapi.paths)
  .flatMap(([path, methods]) => Object.values(methods).map(call => ({ ...call, path }) as Operation))
  .filter(({ operationId }) => TRIED.includes(operationId))

interface Operation {
  path: string
  operationId: string
  tags: string[]
  requestBody?: { content: Record<string, unknown> }
}

test.skipIf(!chromium)(
  'calls work twice in a row as the page fills them in',
  async () => {
    await using gateway = await testGateway()
    using folder = tempDir()
    await Bun.write(folder.file('hello.txt'), 'hello')
    const { client } = gateway
    const account = await client.account()
    await account.link(DEVICE)
    const ids = await idsOf(client, account)
    const browser = await playwright.launch({
      executablePath: chromium ?? '',
      args: ['--no-sandbox', '--disable-gpu'],
    })
    try {
      const page = await openedPage(browser, gateway.url, client, account.token)
      const statuses: Record<string, number[]> = {}
      for (const operation of operations) {
        const { operationId, requestBody } = operation
        await showOnly(page, operation.path)
        const block = page.locator(`[id$="-${operationId}"].opblock`)
        await block.locator('.opblock-summary-control').dispatchEvent('click')
        for (const type of Object.keys(requestBody?.content ?? { nothing: {} })) {
          await fillIn(block, operation, type, ids, folder.file('hello.txt'))
          statuses[`${operationId} with ${type}`] = [await tried(page, block), await tried(page, block)]
        }
      }
      const wrong = Object.entries(statuses).filter(([, both]) =>
        both.some(status => status < 200 || (status >= 300 && !REFUSALS.includes(status))),
      )
      expect(wrong).toEqual([])
      const made = ['addDevice', 'createToken', 'sendMessage'].flatMap(name =>
        Object.entries(statuses).filter(([call]) => call.startsWith(`${name} `)),
      )
      expect(made).toHaveLength(4)
      for (const [call, both] of made)
        expect([call, both.every(status => status < 300)]).toEqual([call, true])
    } finally {
      await browser.close()
    }
  },
  300_000,
)

/** The page with both kinds of authentication filled in. */
async function openedPage(
  browser: Browser,
  url: string,
  client: GatewayClient,
  token: string,
): Promise<Page> {
  const page = await browser.newPage()
  page.setDefaultTimeout(10_000)
  await page.goto(`${url}/docs/index.html`)
  await page.click('button.authorize')
  const [basic, bearer] = await page.locator('.auth-container').all()
  const { clientId, clientSecret } = client.address
  await basic?.locator('input').nth(0).fill(clientId)
  await basic?.locator('input').nth(1).fill(clientSecret)
  await basic?.locator('button.authorize').click()
  await bearer?.locator('input').fill(token)
  await bearer?.locator('button.authorize').click()
  await page.click('.btn-done')
  return page
}

/** Loads the page anew with the calls of one path: with all of them a step takes seconds. */
async function showOnly(page: Page, path: string): Promise<void> {
  const paths = { [path]: openapi.paths[path as keyof typeof openapi.paths] }
  await page.unrouteAll()
  await page.route('**/docs/json', route => route.fulfill({ json: { ...openapi, paths } }))
  await page.reload()
}

/** Values for the parameters of paths, by their names and the calls' tags. */
async function idsOf(client: GatewayClient, account: Account): Promise<Record<string, string>> {
  const { api } = account
  const link = await api.post<{ link: { id: string } }>('/api/v1/devices', { platform: 'signal' })
  const webhook = await account.addWebhook('https://tried.example.com')
  await api.post(`/api/v1/webhooks/${webhook.id}/test`, {})
  const deliveries = await api.get<{ deliveries: { id: string }[] }>(
    `/api/v1/webhooks/${webhook.id}/deliveries`,
  )
  const [message] = await account.send(DEVICE, { contact: '1234567890', text: 'a message' })
  await client.phone('1234567890').waitForText('a message')
  const spare = await client.admin.post<{ token: string }>('/api/v1/tokens', {})
  expect(spare.status).toBe(201)
  const tokens = (await client.admin.get<{ id: number }[]>('/api/v1/tokens')).body
  await client.admin.post('/api/v1/credentials', { client_id: 'tried' })
  const chats = await api.get<{ data: { id: string }[] }>('/api/v1/chats')
  return {
    device_id: DEVICE,
    identifier: '1234567890',
    client_id: 'tried',
    chat_id: chats.body.data[0]?.id ?? '',
    links: link.body.link.id,
    webhooks: String(webhook.id),
    deliveries: deliveries.body.deliveries[0]?.id ?? '',
    messages: message?.id ?? '',
    tokens: String(tokens.at(-1)?.id),
  }
}

/** Gives parameters of paths and files; all else stays as the page has filled it in. */
async function fillIn(
  block: Locator,
  { path, requestBody }: Operation,
  type: string,
  ids: Record<string, string>,
  file: string,
): Promise<void> {
  const segments = path.split('/')
  for (const [index, segment] of segments.entries()) {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1]
    if (name === undefined) continue
    const value = ids[name] ?? ids[segments[index - 1] ?? ''] ?? ''
    await block.locator(`tr[data-param-name="${name}"][data-param-in="path"] input`).fill(value)
  }
  if (!requestBody) return
  if (Object.keys(requestBody.content).length > 1)
    await block.locator('.opblock-section-request-body select').first().selectOption(type)
  if (type === 'multipart/form-data') await block.locator('input[type=file]').first().setInputFiles(file)
}

/** Executes the call. @returns the answer's status; 0 when the page sends nothing */
async function tried(page: Page, block: Locator): Promise<number> {
  for (let clicks = 0; clicks < 5; clicks++) {
    const asked = page
      .waitForRequest(request => !request.url().includes('/docs/'), { timeout: 1_000 })
      .catch(() => undefined)
    // A click would wait until the page stands still, which takes a busy machine long; this one may
    // come before the page listens.
    await block.locator('button.execute').dispatchEvent('click')
    const request = await asked
    if (request) return (await request.response())?.status() ?? 0
  }
  return 0
}
