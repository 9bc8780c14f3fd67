/** The sandbox's pages in a real browser, behind the gateway's checks: a phone links and writes. */
import { expect, test } from 'bun:test'
import { chromium as browserType } from 'playwright-core'
import { chromium } from '../support/chromium.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { watchSocket } from '../support/socket-watcher.ts'

test.skipIf(!chromium)(
  'a device is linked by the page that its QR code names, and a phone writes to it',
  async () => {
    await using gateway = await spawnGateway()
    const account = await new GatewayClient(gateway).account()
    await using socket = watchSocket(await account.addDevice('wa'))
    const address = await socket.waitForText(0)

    const browser = await browserType.launch({
      executablePath: chromium ?? '',
      args: ['--no-sandbox', '--disable-gpu'],
    })
    try {
      const page = await browser.newPage()
      const problems: string[] = []
      page.on('console', message => void (message.type() === 'error' && problems.push(message.text())))
      page.on('pageerror', error => void problems.push(error.message))
      await page.goto(address)
      await page.getByRole('button', { name: 'Link device' }).click()
      await page.getByRole('heading', { name: 'Device linked' }).waitFor()
      const { code, reason } = await socket.closed
      expect([code, reason]).toEqual([1000, 'connected: 237123456789'])

      await using inbox = await InboxReader.open(account)
      await account.send('237123456789', { contact: '1234567890', text: 'Hello from API' })
      expect((await inbox.next()).message).toContain('Hello from API')
      await page.goto(`${gateway.url}/sandbox#1234567890/wa/237123456789`)
      await page.locator('.bubble', { hasText: 'Hello from API' }).first().waitFor()
      await page.getByLabel('Message', { exact: true }).fill('Written in the page')
      await page.keyboard.press('Enter')
      expect((await inbox.next()).message).toBe('Written in the page')
      expect(problems).toEqual([])
    } finally {
      await browser.close()
    }
  },
  60_000,
)
