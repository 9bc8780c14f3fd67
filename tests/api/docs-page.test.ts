/** Swagger UI in a browser: it shows the API, loads nothing from elsewhere, and calls work. */
import { expect, test } from 'bun:test'
import { chromium as playwright } from 'playwright-core'
import openapi from '../../openapi.json'
import { chromium } from '../support/chromium.ts'
import { ADMIN, testHttp } from '../support/test-http.ts'

test.skipIf(!chromium)(
  'Authorize, then Try it out',
  async () => {
    const app = await testHttp()
    const server = app.http.listen()
    const browser = await playwright.launch({
      executablePath: chromium ?? '',
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'],
    })
    try {
      const page = await browser.newPage()
      const complaints: string[] = []
      const elsewhere: string[] = []
      page.on('console', message => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
      })
      page.on('pageerror', error => complaints.push(error.message))
      page.on('request', request => {
        const url = request.url()
        if (!url.startsWith(server.url) && !url.startsWith('data:')) elsewhere.push(url)
      })

      await page.goto(`${server.url}/docs`)
      await page.waitForSelector('.opblock')
      expect(page.url()).toBe(`${server.url}/docs/index.html`)
      const operations = Object.values(openapi.paths).flatMap(Object.keys)
      expect(await page.locator('.opblock').count()).toBe(operations.length)

      await page.click('button.authorize')
      const [basic] = await page.locator('.auth-container').all()
      if (!basic) throw new Error('there is no form for Basic authentication')
      await basic.locator('input').nth(0).fill(ADMIN.clientId)
      await basic.locator('input').nth(1).fill(ADMIN.secret)
      await basic.locator('button.authorize').click()
      await page.click('.btn-done')

      const operation = page.locator('.opblock', { hasText: "List your credential's tokens" })
      await operation.locator('.opblock-summary-control').click()
      await operation.locator('button.execute').click()
      const status = operation.locator('.live-responses-table .response-col_status')
      await status.last().waitFor()
      expect(await status.last().textContent()).toStartWith('200')

      // persistAuthorization: the credentials are still there after a reload.
      await page.reload()
      await page.waitForSelector('button.authorize.locked')
      expect(complaints).toEqual([])
      expect(elsewhere).toEqual([])
    } finally {
      await browser.close()
      await server.stop(0)
      await app.destroy()
    }
  },
  60_000,
)
