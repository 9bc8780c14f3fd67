/** The page of a link in a real browser, behind the gateway's checks. */
import { expect, test } from 'bun:test'
import { type BrowserContext, chromium as browserType, type Page } from 'playwright-core'
import { attachedGateway } from '../support/attached-gateway.ts'
import { testBridge } from '../support/bridge-program.ts'
import { chromium } from '../support/chromium.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { bearer, jsonClient } from '../support/json-client.ts'
import { Testnet } from '../support/testnet.ts'
import { waitFor } from '../support/wait-for.ts'

test.skipIf(!chromium)(
  'a phone is linked by a pairing code, then one by its QR code, without a reload and without a complaint',
  async () => {
    await using gateway = await spawnGateway()
    const { token } = await new GatewayClient(gateway).account()
    const api = jsonClient(gateway.url, bearer(token))
    const linkUrl = async (json: object) =>
      (await api.post<{ link_url: string }>('/api/v1/devices', json)).body.link_url
    const scan = (code: string, phone: string) =>
      fetch(code, { method: 'POST', body: JSON.stringify({ phone }) })

    const browser = await launched()
    try {
      const page = await browser.newPage({ viewport: { width: 360, height: 720 } })
      const problems: string[] = []
      page.on('console', message => void (message.type() === 'error' && problems.push(message.text())))
      page.on('pageerror', error => void problems.push(error.message))

      await page.goto(await linkUrl({ platform: 'wa', flow: 'phone' }))
      await page.getByLabel(/phone number/i).fill('+49 1511 2345678')
      await page.getByRole('button', { name: 'Go on' }).click()
      const code = await page.locator('.code').textContent()
      await scan(`${gateway.url}/sandbox/link/${code}`, '4915112345678')
      await page.getByText('Linked: ').waitFor()

      await page.goto(await linkUrl({ platform: 'wa' }))
      await page.locator('.qr svg').waitFor()
      await page.locator('.left', { hasText: 'Good for' }).waitFor()
      const address = await page.getByRole('link', { name: 'Open it on this device' }).getAttribute('href')
      await scan(String(address), '4915112345679')
      await page.getByText('Linked: ').waitFor()
      // Nothing is cut off on a phone.
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
      expect(problems).toEqual([])
    } finally {
      await browser.close()
    }
  },
  60_000,
)

test.skipIf(!chromium || !testBridge)(
  'a passkey: the page’s instructions work in the console of the network’s site, and its answer is taken',
  async () => {
    await using deployment = await attachedGateway('embedded', { wa: { program: testBridge ?? '' } })
    const testnet = new Testnet(deployment.bridge('wa').controlUrl)
    const phone = await testnet.newPhone({ passkey: true })
    const account = await deployment.client.account()
    const { body } = await account.api.post<{ link_url: string }>('/api/v1/devices', { platform: 'wa' })
    const browser = await launched()
    try {
      const context = await browser.newContext()
      const page = await context.newPage()
      await page.goto(body.link_url)
      await page.locator('.qr svg').waitFor()
      await phone.confirm((await testnet.pairings()).at(-1)?.code ?? '')
      const script = await page.locator('pre').textContent()
      const site = await page.getByRole('link', { name: 'https://web.testnet.example' }).getAttribute('href')
      const copied = await copiedBy(context, String(site), String(script))
      await page.getByLabel('Passkey').fill('{}')
      await page.getByRole('button', { name: 'Go on' }).click()
      await page.getByText('expected the JSON that navigator.credentials.get() gave').waitFor()
      await page.getByLabel('Passkey').fill(copied)
      await page.getByRole('button', { name: 'Go on' }).click()
      await page.getByText('Linked: ').waitFor()
      expect(await account.untilConnected(phone.number)).toHaveLength(1)
    } finally {
      await browser.close()
    }
  },
  60_000,
)

const launched = () =>
  browserType.launch({ executablePath: chromium ?? '', args: ['--no-sandbox', '--disable-gpu'] })

/**
 * Runs a script in the console of a site, as its owner who has the passkey that is asked for.
 * @returns what it put into the clipboard
 */
async function copiedBy(context: BrowserContext, site: string, script: string): Promise<string> {
  const page = await context.newPage()
  await page.route(`${site}/**`, route => route.fulfill({ contentType: 'text/html', body: 'the site' }))
  await page.goto(site)
  const console = await context.newCDPSession(page)
  await addPasskey(page, console, script)
  let copied = ''
  console.on('Runtime.inspectRequested', ({ object }) => {
    copied = String(object.value)
  })
  await console.send('Runtime.enable')
  // As what is typed into the console is run.
  const typed = { includeCommandLineAPI: true, replMode: true, userGesture: true }
  await console.send('Runtime.evaluate', { expression: script, ...typed })
  return await waitFor(() => copied, { what: 'the answer in the clipboard' })
}

/** Gives the browser the passkey that the script asks for. */
async function addPasskey(
  page: Page,
  console: Awaited<ReturnType<BrowserContext['newCDPSession']>>,
  script: string,
): Promise<void> {
  const [, id = ''] = /"allowCredentials":\[\{"id":"([\w-]+)"/.exec(script) ?? []
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
  ])
  const key = await crypto.subtle.exportKey('pkcs8', privateKey)
  await console.send('WebAuthn.enable')
  const { authenticatorId } = await console.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  await console.send('WebAuthn.addCredential', {
    authenticatorId,
    credential: {
      credentialId: Buffer.from(id, 'base64url').toString('base64'),
      isResidentCredential: false,
      rpId: new URL(page.url()).hostname,
      privateKey: Buffer.from(key).toString('base64'),
      signCount: 1,
    },
  })
}
