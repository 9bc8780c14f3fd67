/** The page of a link in a real browser, behind the gateway's checks. */
import { expect, test } from 'bun:test'
import { chromium as browserType } from 'playwright-core'
import { chromium } from '../support/chromium.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { bearer, jsonClient } from '../support/json-client.ts'

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

    const browser = await browserType.launch({
      executablePath: chromium ?? '',
      args: ['--no-sandbox', '--disable-gpu'],
    })
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
