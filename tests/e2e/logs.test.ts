/** The program logs one wide line for each request, try and batch, with ids and without texts. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { GatewayClient } from '../support/gateway-client.ts'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

type Line = Record<string, unknown> & { msg: string; level: string }

function linesOf(gateway: GatewayProcess): Line[] {
  return gateway
    .output()
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line) as Line)
}

test.each(['info', 'debug'])(
  'a message is followed through the log (%s) by its ids, from the request to the webhook',
  async level => {
    await using receiver = webhookReceiver()
    await using gateway = await spawnGateway({ env: { LOG_LEVEL: level } })
    const { account, device } = await new GatewayClient(gateway).linkedAccount()
    const friend = await new GatewayClient(gateway).newPhone({ echo: true })
    await account.api.post('/api/v1/webhooks', { url: receiver.url })
    const [sent] = await account.send(device, { contact: friend.number, text: 'for nobody else' })
    const [request] = await receiver.waitForCount(1)

    const line = (msg: string, matches: (line: Line) => boolean) =>
      waitFor(() => linesOf(gateway).find(line => line.msg === msg && matches(line)), {
        what: `a ${msg} line`,
      })
    const accepted = await line(
      'request',
      ({ message_ids: ids }) => Array.isArray(ids) && ids.includes(sent?.id),
    )
    expect(accepted).toMatchObject({ level: 'info', method: 'POST', status: 200, messages: 1 })
    expect(accepted.request_id).toBeString()
    const send = await line('send', ({ message_id }) => message_id === sent?.id)
    expect(send).toMatchObject({ level: 'info', outcome: 'submitted', platform: 'wa', attempt: 1 })
    const event = (request?.json as { id: string } | undefined)?.id
    const batch = await line('batch', ({ event_ids: ids }) => Array.isArray(ids) && ids.includes(event))
    expect(batch).toMatchObject({ source: 'transaction', outcome: 'stored' })
    const delivery = await line('delivery', ({ event_id: id }) => id === event)
    expect(delivery).toMatchObject({
      delivery_id: request?.headers.get('webhook-id'),
      outcome: 'succeeded',
      status: 200,
      attempt: 1,
    })
    expect(delivery.device).toBe(send.device)

    if (level === 'debug') await line('message to its room', ({ part }) => part === 'sandbox')
    expect(await gateway.stop()).toBe(0)
    const log = linesOf(gateway)
      .map(entry => JSON.stringify(entry))
      .join('\n')
    for (const secret of ['for nobody else', friend.number, device, account.token, gateway.clientSecret])
      expect(log).not.toContain(secret)
  },
)

test('a send that failed names nobody, however the recipient is written', async () => {
  await using gateway = await spawnGateway({ env: { LOG_LEVEL: 'info' } })
  const { account, device } = await new GatewayClient(gateway).linkedAccount()
  const recipients: { contact?: string; group_url?: string }[] = [
    { contact: '+999 170 123 456' },
    { contact: '999-170-123-457' },
    { contact: 'alice@example.com' },
    { group_url: 'Family Smith 2024' },
  ]
  for (const recipient of recipients) await account.send(device, { ...recipient, text: 'hello' })
  const failed = await waitFor(
    () => {
      const lines = linesOf(gateway).filter(({ msg, outcome }) => msg === 'send' && outcome === 'failed')
      return lines.length === recipients.length && lines
    },
    { what: 'lines of sends that failed' },
  )
  for (const { level, reason } of failed) {
    expect(level).toBe('warn')
    expect(reason).toMatch(/…|isn't on|is no group/)
  }
  expect(gateway.output()).not.toMatch(/170.?123|alice|Smith/i)
})

test('LOG_FORMAT=pretty writes lines for people', async () => {
  await using gateway = await spawnGateway({ env: { LOG_LEVEL: 'info', LOG_FORMAT: 'pretty' } })
  await fetch(`${gateway.url}/nowhere`)
  await waitFor(() => /INFO.*request/.test(gateway.output()), { what: 'a pretty line' })
})
