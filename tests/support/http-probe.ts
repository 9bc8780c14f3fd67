/** Asks the HTTP application a bit of everything, a line per answer. Run by minified.test.ts. */
import { basic, type CallOptions, testHttp } from './test-http.ts'

const app = await testHttp()

async function ask(
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Record<string, unknown>> {
  const answer = await app.call(method, path, options)
  const shown = answer.text
    .replace(/mt_[\w-]+/g, 'mt_')
    .replace(/\/link\/[\w-]{22}/g, '/link/…')
    .replace(/"request_id":"[^"]*"/, '')
    .replace(/@\w+:/, '@:')
    .replace(/evt_\w+/g, 'evt_')
    // A token's id is random.
    .replace(/"id":\d{4,}/, '"id"')
    .replace(/whsec_[\w+/=]+/, 'whsec_')
    .replace(/"next":"[^"]*"/, '"next"')
  console.log(method, path.replace(/(mt|evt)_[\w-]+/, '$1_'), answer.status, shown.slice(0, 200))
  return answer.body
}

const json = (body: string) => ({ body, headers: { 'content-type': 'application/json', cookie: 'a=b' } })
const SEND = '/api/v1/devices/237123456789/message'

await ask('GET', '/health')
await ask('GET', '/ready')
await ask('GET', '/health', { origin: 'http://gw' })
await ask('GET', '/health', { origin: 'https://x' })
await ask('GET', '/docs')
await ask('GET', '/docs/json')
await ask('GET', '/docs/swagger-ui.css')
await ask('GET', '/nowhere')
await ask('PATCH', '/api/v1/tokens')
await ask('POST', '/api/v1/tokens', json('{'))
await ask('POST', '/api/v1/tokens', { auth: basic(), ...json('{') })
await ask('POST', '/api/v1/tokens', { auth: basic(), ...json('[]') })
await ask('POST', '/api/v1/tokens', { auth: basic(), json: { use_host: 'x' } })
const auth = `Bearer ${(await ask('POST', '/api/v1/tokens', { auth: basic(), json: {} })).token}`
await ask('GET', '/api/v1/tokens', { auth: basic() })
await ask('DELETE', '/api/v1/tokens/x', { auth: basic() })
await ask('DELETE', '/api/v1/tokens/0', { auth: basic(), ...json('{') })
await ask('POST', '/api/v1/credentials', { auth: basic(), json: { client_id: 'a', role: 'boss' } })
await ask('PUT', '/api/v1/credentials/admin', { auth: basic(), json: { active: false } })
await ask('GET', '/api/v1/devices')
await ask('GET', '/api/v1/devices', { auth })
await ask('POST', '/api/v1/devices', { auth, json: { platform: 'wa' } })
await ask('POST', '/api/v1/devices', { auth, json: {} })
await ask('GET', '/api/v1/devices/qr-code?format=gif', { auth })
await ask('GET', `/api/v1/devices/qr-code?token=${auth.slice('Bearer '.length)}`)
await ask('POST', SEND, { auth, json: { platform: 'wa', contact: '1', text: 'x' } })
await ask('POST', SEND, { auth, ...json('{') })
const form = new FormData()
form.append('platform', 'wa')
form.append('contact', '1')
form.append('file', new File(['x'], 'a.txt'))
await ask('POST', SEND, { auth, body: form })
await ask('POST', '/api/v1/devices/%ff/message', { auth, json: {} })
await ask('GET', '/api/v1/messages?before=%ff', { auth })
await ask('GET', '/api/v1/messages?limit=0', { auth })
await ask('GET', '/api/v1/messages?limt=1', { auth })
await ask('POST', '/api/v1/tokens', { auth: basic(), json: { expiresin: 'x' } })
await ask('POST', '/api/v1/webhooks/1/test', { auth, json: { x: 1 } })
await ask('GET', '/api/v1/messages?limit=5', { auth })
await ask('PUT', '/api/v1/webhooks/x', { auth, json: {} })
await ask('PUT', '/api/v1/webhooks/1', { auth, json: { active: 'x' } })
const hook = { url: 'http://127.0.0.1:9', headers: { Authorization: 'x' } }
await ask('POST', '/api/v1/webhooks', { auth, json: { ...hook, headers: { Host: 'x' } } })
await ask('POST', '/api/v1/webhooks', { auth, json: hook })
await ask('PUT', '/api/v1/webhooks/1', { auth, json: { headers: null } })
const { id } = await ask('POST', '/api/v1/webhooks/1/test', { auth })
await ask('GET', '/api/v1/webhooks/1/deliveries?status=succeeded&limit=1', { auth })
await ask('GET', '/api/v1/webhooks/1/deliveries?status=lost', { auth })
await ask('GET', `/api/v1/deliveries/${id}`, { auth })
await ask('POST', `/api/v1/deliveries/${id}/retry`, { auth })
await ask('POST', '/api/v1/webhooks/1/replay', { auth, json: { since: '2026-01-01T00:00:00Z' } })
await ask('POST', '/api/v1/webhooks/1/replay', { auth, json: { since: 5 } })
await ask('POST', '/api/v1/webhooks/1/rotate-secret', { auth, json: { overlap_s: 'x' } })
await ask('POST', '/api/v1/webhooks/1/rotate-secret', { auth, json: { overlap_s: 5 } })
await ask('GET', '/api/v1/events?limit=1&events=message.received', { auth })
await ask('GET', '/api/v1/events?wait=x', { auth })
await ask('GET', '/api/v1/events?after=x', { auth, headers: { accept: 'text/event-stream' } })
await ask('DELETE', '/api/v1/webhooks/1', { auth })
await ask('GET', '/api/v1/media/x?expires=1')
await app.destroy()
