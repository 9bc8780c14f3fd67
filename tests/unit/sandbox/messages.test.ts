/** Messages both ways, of every kind. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHarness, type Harness, USER, until } from './harness.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
  await harness.link()
})
afterAll(() => harness.close())

describe('from Matrix to the phone', () => {
  test('a text arrives once, is confirmed and read, and is echoed', async () => {
    const room = await harness.room('1234567890')
    const eventId = await harness.send(room, { msgtype: 'm.text', body: 'hello' })
    expect(await harness.status(eventId)).toMatchObject({
      status: 'SUCCESS',
      network: 'whatsapp',
      delivered_to_users: ['@whatsapp_1234567890:test.example'],
    })
    const echo = await harness.event(event => event.content.body === 'echo: hello')
    expect(echo.sender).toBe('@whatsapp_1234567890:test.example')
    const onPhone = await harness.messages('1234567890')
    expect(onPhone.map(({ from, to, text }) => ({ from, to, text }))).toEqual([
      { from: '237123456789', to: '1234567890', text: 'hello' },
      { from: '1234567890', to: '237123456789', text: 'echo: hello' },
    ])
    await until(() => harness.ephemeral.some(one => JSON.stringify(one).includes(eventId)))
    expect(USER).toBe('@mg_alice:test.example')
  })
})
