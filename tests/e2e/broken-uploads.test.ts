/** Clients break uploads off: the program keeps no part of them, and other clients see nothing. */
import { expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { waitFor } from '../support/wait-for.ts'

const SETTINGS = {
  CLIENT_ID: 'admin',
  CLIENT_SECRET: 'a secret of the tests',
  SECRET_KEY: 'a key of the tests',
}
const TIMES = 5

const FORM = [
  'Content-Type: multipart/form-data; boundary=B',
  'Content-Length: 100000',
  '',
  '--B',
  'Content-Disposition: form-data; name="file"; filename="a.txt"',
  '',
  'the beginning of it',
].join('\r\n')

test('what is broken off leaves nothing behind, wherever it was going, and is no error', async () => {
  await using gateway = await spawnGateway({ env: { ...SETTINGS, LOG_LEVEL: 'info' } })
  const client = new GatewayClient(gateway)
  const { account, device } = await client.linkedAccount()
  const friend = await client.newPhone()
  const uploads = {
    'the sandbox': `POST /sandbox/api/phones/${friend.number}/messages HTTP/1.1\r\nHost: localhost\r\n${FORM}`,
    'a send': `POST /api/v1/devices/${device}/message HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${account.token}\r\n${FORM}`,
  }
  const begun = () => filesIn(join(gateway.directory, 'data')).filter(file => /\.(tmp|part)$/.test(file))
  for (const [name, upload] of Object.entries(uploads)) {
    for (let time = 0; time < TIMES; time++) {
      using connection = begin(gateway.url, upload)
      await waitFor(() => begun().length > 0, { what: `a begun file of ${name}` })
      connection.breakOff()
      await waitFor(() => begun().length === 0, { what: `no begun file of ${name} any more` })
    }
  }
  const json = 'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{'
  const path = '/sandbox/api/phones/1234567/messages'
  const isRefused = (line: string) => line.includes('/sandbox/api/phones/') && line.includes('"status":400')
  // The program also refuses forms that are broken off.
  const refused = () => gateway.output().split('\n').filter(isRefused).length
  const before = refused()
  let connection = begin(gateway.url, `POST ${path} HTTP/1.1\r\n${json}`)
  const isAnswered = () => {
    connection.breakOff()
    connection = begin(gateway.url, `POST ${path} HTTP/1.1\r\n${json}`)
    return refused() > before
  }
  await waitFor(isAnswered, { what: 'the log of what was broken off', deadlineMs: 20_000 })
  connection.breakOff()
  await friend.send({ to: device, text: 'still there?' })
  expect(gateway.output()).not.toContain('"level":"error"')
}, 60_000)

function begin(url: string, head: string): Disposable & { breakOff(): void } {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(head)
  const breakOff = () => void socket.destroy()
  return { breakOff, [Symbol.dispose]: breakOff }
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
}
