/**
 * Every call of the document works as the API's page fills it in, twice in a row: in Chromium, with
 * both kinds of authentication, forms and streams included.
 */
import { expect, test } from 'bun:test'
import { type Browser, type Locator, type Page, chromium as playwright, type Response } from 'playwright-core'
import openapi from '../../openapi.json'
import { INITIALIZER } from '../../src/http/routes/docs/page.ts'
import { chromium } from '../support/chromium.ts'
import { tempDir } from '../support/temp-dir.ts'
import { PNG, type TryItOutScene, tryItOutScene } from '../support/try-it-out-scene.ts'
import { waitFor } from '../support/wait-for.ts'

const STREAM = 'text/event-stream'
/** Others need the device that it takes away. */
const LAST = 'deleteDevice'
/** Answers other than success twice. */
const OTHERWISE: { why: string; calls: string[]; answers: [number, number] }[] = [
  {
    why: 'there is one of that name or address by then',
    calls: ['createCredential', 'createWebhook'],
    answers: [201, 409],
  },
  {
    why: 'it is gone by then',
    calls: ['deleteCredential', 'deleteToken', 'deleteWebhook', 'deleteDevice', 'deleteDeviceById'],
    answers: [200, 404],
  },
  {
    why: 'the link is answered by then, or has ended',
    calls: ['answerLink', 'cancelLink'],
    answers: [200, 409],
  },
  { why: 'the secret before signs for an hour yet', calls: ['rotateWebhookSecret'], answers: [200, 409] },
  { why: 'the message is cancelled by then', calls: ['cancelMessage'], answers: [200, 409] },
  {
    why: 'the message is unsent, or has no reaction, by then',
    calls: ['unsendMessage', 'removeReaction'],
    answers: [202, 409],
  },
  { why: 'the page opens no WebSocket', calls: ['watchQrCode'], answers: [426, 426] },
  { why: 'the sandbox lets nobody be blocked on WhatsApp', calls: ['blockChat'], answers: [422, 422] },
]

interface Operation {
  path: string
  operationId: string
  parameters?: { name: string; in: string }[]
  requestBody?: { content: Record<string, unknown> }
  responses: Record<string, { content?: Record<string, unknown> }>
}

const operations = Object.entries(openapi.paths)
  .flatMap(([path, methods]) => Object.values(methods).map(call => ({ ...call, path }) as Operation))
  .toSorted((one, other) => Number(one.operationId === LAST) - Number(other.operationId === LAST))

test('exceptions are calls of the document', () => {
  const names = operations.map(({ operationId }) => operationId)
  expect(names).toEqual(expect.arrayContaining(OTHERWISE.flatMap(({ calls }) => calls)))
})

test.skipIf(!chromium)(
  'calls work twice in a row as the page fills them in',
  async () => {
    await using scene = await tryItOutScene()
    using folder = tempDir()
    // A chat takes a picture, and a message any file.
    const file = folder.file('a.png')
    await Bun.write(file, PNG)
    const browser = await playwright.launch({
      executablePath: chromium ?? '',
      args: ['--no-sandbox', '--disable-gpu'],
    })
    try {
      const page = await openedPage(browser, scene)
      const wrong: Record<string, unknown> = {}
      for (const operation of operations)
        for (const way of waysOf(operation)) {
          const answers = await triedTwice(page, operation, way, scene, file)
          const otherwise = OTHERWISE.find(({ calls }) => calls.includes(operation.operationId))
          const isRight = otherwise
            ? Bun.deepEquals(answers, otherwise.answers)
            : answers.every(status => status >= 200 && status < 300)
          if (isRight) continue
          const name = [operation.operationId, ...Object.values(way)].join(' ')
          wrong[name] = { answers, expected: otherwise ?? 'success' }
        }
      expect(wrong).toEqual({})
    } finally {
      await browser.close()
    }
  },
  240_000,
)

interface Way {
  /** Content types, where the page has several. */
  body?: string
  answer?: string
}

/** @returns one for each type of body, and one for each of answer */
function waysOf({ requestBody, responses }: Operation): Way[] {
  const bodies = Object.keys(requestBody?.content ?? {})
  const types = Object.keys(responses[200]?.content ?? {})
  if (bodies.length > 1) return bodies.map(body => ({ body }))
  return types.length > 1 ? types.map(answer => ({ answer })) : [{}]
}

/** The page without calls, and with both kinds of authentication filled in. */
async function openedPage(browser: Browser, { gateway, account }: TryItOutScene): Promise<Page> {
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  // Colours and motion take much of the time. Calls are open, so none needs a click.
  const plain = "syntaxHighlight: false,\n  docExpansion: 'full',\n  dom_id"
  const initializer = INITIALIZER.replace('dom_id', plain)
  await page.route('**/docs/swagger-initializer.js', route => route.fulfill({ body: initializer }))
  await page.route('**/docs/json', route => route.fulfill({ json: { ...openapi, paths: {} } }))
  await page.goto(`${gateway.url}/docs/index.html`)
  await page.addStyleTag({ content: '* { animation: none !important; transition: none !important }' })
  await page.click('button.authorize')
  const [basic, bearer] = await page.locator('.auth-container').all()
  const { clientId, clientSecret } = gateway.client.address
  await basic?.locator('input').nth(0).fill(clientId)
  await basic?.locator('input').nth(1).fill(clientSecret)
  await basic?.locator('button.authorize').click()
  await bearer?.locator('input').fill(account.token)
  await bearer?.locator('button.authorize').click()
  await page.click('.btn-done')
  return page
}

/** @returns two statuses, 0 for no answer; between them only a stream is filled in again */
async function triedTwice(
  page: Page,
  operation: Operation,
  way: Way,
  scene: TryItOutScene,
  file: string,
): Promise<[number, number]> {
  const values = await scene.parametersOf(operation.operationId, operation.path)
  const open = async () => {
    const block = await showOnly(page, operation)
    await fillIn(block, operation, values, way, file)
    return block
  }
  const block = await open()
  const first = await tried(page, block, operation)
  if (first?.status() === 202) await scene.endOf(await first.json())
  // The page waits for a stream's end, and asks for no other until the call is opened anew.
  const second = await tried(page, way.answer === STREAM ? await open() : block, operation)
  return [first?.status() ?? 0, second?.status() ?? 0]
}

/** Gives the page a document of one call: with all of them a step takes seconds. */
async function showOnly(page: Page, { path, operationId }: Operation): Promise<Locator> {
  const methods = Object.entries(openapi.paths[path as keyof typeof openapi.paths])
  const [method = '', call] = methods.find(([, { operationId: id }]) => id === operationId) ?? []
  // The examples of a dozen errors take most of the page's time.
  const responses = Object.entries(call?.responses ?? {}).filter(([status]) => Number(status) < 400)
  const paths = { [path]: { [method]: { ...call, responses: Object.fromEntries(responses) } } }
  await show(page, {})
  await page.locator('.opblock').waitFor({ state: 'detached' })
  await show(page, paths)
  // Before, a body's schema may be a reference, of which the page makes no example.
  const isResolved = `!!ui.specSelectors.specResolvedSubtree(${JSON.stringify(['paths', path, method])})`
  await waitFor(() => page.evaluate(isResolved), { what: `the page to resolve ${operationId}` })
  const block = page.locator(`[id$="-${operationId}"].opblock`)
  await block.locator('button.execute').waitFor()
  return block
}

async function show(page: Page, paths: object): Promise<void> {
  const shown = { ...openapi, paths, 'x-webhooks': {}, components: neededBy(paths) }
  await page.evaluate(`ui.specActions.updateJsonSpec(${JSON.stringify(shown)})`)
}

/** @returns the components that a part of the document refers to */
function neededBy(part: unknown): typeof openapi.components {
  const needed = { schemas: {}, responses: {}, securitySchemes: openapi.components.securitySchemes }
  const walk = (value: unknown): void => {
    for (const [, kind, name] of JSON.stringify(value).matchAll(/"#\/components\/(\w+)\/(\w+)"/g)) {
      const found = needed[kind as 'schemas'] as Record<string, unknown>
      if (!name || name in found) continue
      found[name] = (openapi.components[kind as 'schemas'] as Record<string, unknown>)[name]
      walk(found[name])
    }
  }
  walk(part)
  return needed as typeof openapi.components
}

/** Gives parameters and files; all else stays as the page has filled it in. */
async function fillIn(
  block: Locator,
  { parameters = [] }: Operation,
  values: Record<string, string>,
  { body, answer }: Way,
  file: string,
): Promise<void> {
  for (const { name, in: place } of parameters) {
    const value = values[name]
    if (value === undefined) continue
    const input = block.locator(`tr[data-param-name="${name}"][data-param-in="${place}"] input`)
    await input.fill(value)
    // The page takes what is typed once its field is left.
    await input.blur()
  }
  if (body) await block.locator('.opblock-section-request-body select').first().selectOption(body)
  if (body === 'multipart/form-data') await block.locator('input[type=file]').first().setInputFiles(file)
  if (answer) await block.locator('.responses-wrapper select.content-type').first().selectOption(answer)
}

/** Executes the call. @returns the answer; undefined when the page sends nothing */
async function tried(page: Page, block: Locator, { path }: Operation): Promise<Response | undefined> {
  const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
  const isAnswer = (answer: Response) => pattern.test(new URL(answer.url()).pathname)
  const asked = page.waitForResponse(isAnswer, { timeout: 20_000 }).catch(() => undefined)
  // A click would wait until the page stands still, which takes a busy machine long.
  await block.locator('button.execute').dispatchEvent('click')
  const answer = await asked
  const isStream = answer?.headers()['content-type']?.startsWith(STREAM)
  if (!isStream) await block.locator('.loading-container').waitFor({ state: 'detached' })
  return answer
}
