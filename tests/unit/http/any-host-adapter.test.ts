/** Requests find their route whatever the length of their URL's host. */
import { expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { BunAdapter } from 'elysia/adapter/bun'
import { anyHostAdapter } from '../../../src/http/any-host-adapter.ts'

const ask = async (adapter: typeof BunAdapter, url: string) => {
  const app = new Elysia({ adapter, aot: true }).get('/health', () => 'well')
  return (await app.handle(new Request(url))).text()
}

test.each([
  'http://a/health',
  'http://api/health',
  'http://api/health?x=/y',
  'https://a/health',
  'http://127.0.0.1:3000/health',
  'https://gateway.example.com/health',
])('%s', async url => {
  expect(await ask(anyHostAdapter, url)).toBe('well')
})

test('Elysia by itself still needs it: when this fails, the adapter can go', async () => {
  expect(await ask(BunAdapter, 'http://api/health')).not.toBe('well')
})
