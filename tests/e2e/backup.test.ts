/** A backup under load has everything acknowledged before it began, and works when restored. */
import { Database } from 'bun:sqlite'
import { expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command-line.ts'
import { bytesOf } from '../support/files.ts'
import { type Account, formWith, GatewayClient, type Phone } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(120_000)

const FILE = bytesOf(200_000, 7)

/** Sends and receives without a pause until stopped. */
class Load {
  /** Ids of messages answered 200. */
  readonly accepted: string[] = []
  private running = true
  private readonly loops: Promise<void>[]

  constructor(account: Account, device: string, friends: Phone[]) {
    this.loops = friends.map(async (friend, index) => {
      for (let round = 0; this.running; round++) {
        const fields = { contact: friend.number, platform: 'wa', text: `${index}/${round}` }
        const isFile = round % 4 === 0
        const what = isFile ? formWith(fields, { name: 'data.bin', content: FILE }) : fields
        this.accepted.push(...(await account.send(device, what)).map(({ id }) => id))
        await friend.send({ to: device, text: `back ${index}/${round}` })
      }
    })
  }

  async stop(): Promise<void> {
    this.running = false
    await Promise.all(this.loops)
  }
}

test('a backup under load restores to a gateway that has all that was acknowledged, and works', async () => {
  await using receiver = webhookReceiver()
  using elsewhere = tempDir()
  const backup = elsewhere.file('backup.tar.zst')
  let account: Account
  let device: string
  let phone: Phone
  let friends: Phone[]
  let before: string[]
  let token: string
  let number: string
  {
    await using gateway = await spawnGateway()
    const client = new GatewayClient(gateway)
    ;({ account, device, phone } = await client.linkedAccount())
    ;({ token } = account)
    ;({ number } = phone)
    await account.api.post('/api/v1/webhooks', { url: receiver.url })
    friends = await Promise.all(Array.from({ length: 4 }, () => client.newPhone()))
    const load = new Load(account, device, friends)
    await waitFor(() => load.accepted.length >= 40, { what: 'a load', deadlineMs: 60_000 })
    before = [...load.accepted]
    const { exitCode, out, err } = await runCommand(gateway.directory, ['backup', backup])
    const after = load.accepted.length
    await load.stop()
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).not.toContain('not in it: media')
    expect(out).toContain('.env is not in it')
    // The gateway ran on meanwhile.
    expect(after).toBeGreaterThan(before.length)
    expect(readdirSync(join(gateway.directory, 'data')).filter(name => name.startsWith('.'))).toEqual([])
    expect(statSync(backup).mode & 0o777).toBe(0o600)
    copyFileSync(join(gateway.directory, '.env'), elsewhere.file('.env'))
    await gateway.kill()
  }

  const restored = await runCommand(elsewhere.path, ['restore', backup])
  expect([restored.exitCode, restored.err]).toEqual([0, ''])
  const database = new Database(elsewhere.file('data/meshgate.db'), { readwrite: true })
  expect(database.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  const stored = database.query<{ id: string }, []>('SELECT id FROM media WHERE stored = 1').all()
  database.close()
  expect(stored.length).toBeGreaterThan(9)
  for (const { id } of stored)
    expect(existsSync(elsewhere.file(`data/media/${id.slice(-2)}/${id}`)), id).toBe(true)

  await using gateway = await spawnGateway({ directory: elsewhere.path })
  const client = new GatewayClient(gateway)
  account = client.accountOf(token)
  const statuses = await Promise.all(before.map(async id => (await account.message(id)).status))
  expect(statuses.every(status => status !== 'queued')).toBe(true)
  expect((await account.devices())[0]).toMatchObject({ device_id: number, state: 'connected' })
  const [friend] = friends as [Phone]
  const received = await client.phone(friend.number).received()
  const [withFile] = received.filter(({ file }) => file !== null)
  const bytes = await (await fetch(new URL(withFile?.file?.url ?? '', gateway.url))).bytes()
  expect(Bun.hash(bytes)).toBe(Bun.hash(FILE))

  const [sent] = await account.send(number, { contact: friend.number, text: 'after the restore' })
  await account.waitForStatus(sent?.id ?? '', ['delivered', 'read'])
  await client.phone(friend.number).send({ to: number, text: 'and back' })
  await waitFor(() => receiver.received.some(({ text }) => text.includes('and back')), {
    what: 'the webhook',
  })
})

test('what waited when the backup was made is not sent by a restored gateway, unless that is asked for', async () => {
  using elsewhere = tempDir()
  const backup = elsewhere.file('backup.tar.zst')
  // One message an hour: the second one waits.
  const slow = { SEND_INTERVAL_MS: '3600000', SEND_BURST: '1' }
  await using gateway = await spawnGateway({ env: slow })
  const { account, device } = await new GatewayClient(gateway).linkedAccount()
  const friend = await new GatewayClient(gateway).newPhone()
  const [first] = await account.send(device, { contact: friend.number, text: 'one' })
  await account.waitForStatus(first?.id ?? '', ['delivered', 'read'])
  const [second] = await account.send(device, { contact: friend.number, text: 'two' })
  expect((await runCommand(gateway.directory, ['backup', backup])).exitCode).toBe(0)
  copyFileSync(join(gateway.directory, '.env'), elsewhere.file('.env'))

  const held = await runCommand(elsewhere.path, ['restore', backup, '--data-dir', 'held'])
  expect(held.out).toContain('1 messages that waited then are not sent')
  {
    await using restored = await spawnGateway({ directory: elsewhere.path, env: { DATA_DIR: './held' } })
    const again = new GatewayClient(restored).accountOf(account.token)
    expect(await again.message(second?.id ?? '')).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('may have been sent since'),
    })
    const [next] = await again.send(device, { contact: friend.number, text: 'three' })
    await again.waitForStatus(next?.id ?? '', ['delivered', 'read'])
    const texts = (await new GatewayClient(restored).phone(friend.number).received()).map(({ text }) => text)
    expect(texts).toEqual(['one', 'three'])
  }

  const sending = await runCommand(elsewhere.path, [
    'restore',
    backup,
    '--data-dir',
    'sending',
    '--send-waiting',
  ])
  expect(sending.out).toContain('1 messages that waited then will be sent')
  await using restored = await spawnGateway({
    directory: elsewhere.path,
    env: { ...slow, DATA_DIR: './sending' },
  })
  const again = new GatewayClient(restored).accountOf(account.token)
  // The second message may be sent only in an hour.
  expect(await again.message(second?.id ?? '')).toMatchObject({ status: 'queued', reason: null })
})

test('a gateway that runs, a folder with something in it and another homeserver are left alone', async () => {
  using elsewhere = tempDir()
  const backup = elsewhere.file('backup.tar.zst')
  await using gateway = await spawnGateway()
  await runCommand(gateway.directory, ['backup', backup])
  const running = await runCommand(gateway.directory, ['restore', backup])
  expect([running.exitCode, running.err]).toEqual([
    1,
    expect.stringContaining('is in use by another meshgate'),
  ])
  const again = await runCommand(gateway.directory, ['backup', backup])
  expect([again.exitCode, again.err]).toEqual([1, expect.stringContaining('--force overwrites it')])
  expect((await runCommand(gateway.directory, ['backup', backup, '--force'])).exitCode).toBe(0)
  await gateway.kill()
  const filled = await runCommand(gateway.directory, ['restore', backup])
  expect([filled.exitCode, filled.err]).toEqual([
    1,
    expect.stringContaining('expected a folder without data'),
  ])
  const other = await runCommand(gateway.directory, ['restore', backup, '--data-dir', 'other'], {
    MATRIX_SERVER_NAME: 'other.example',
  })
  expect([other.exitCode, other.err]).toEqual([1, expect.stringContaining('the backup is of "localhost"')])
  expect(readdirSync(join(gateway.directory, 'other'))).toEqual(['meshgate.lock'])
})

test('another SECRET_KEY is said to be another, and the one before it is known', async () => {
  using elsewhere = tempDir()
  const backup = elsewhere.file('backup.tar.zst')
  const key = 'the-key-of-the-backup'
  await using gateway = await spawnGateway({ env: { SECRET_KEY: key } })
  await runCommand(gateway.directory, ['backup', backup], { SECRET_KEY: key })
  copyFileSync(join(gateway.directory, '.env'), elsewhere.file('.env'))
  const restore = (dir: string, env: Record<string, string>) =>
    runCommand(elsewhere.path, ['restore', backup, '--data-dir', dir], env)
  expect((await restore('one', { SECRET_KEY: key })).err).toBe('')
  expect((await restore('two', { SECRET_KEY_PREVIOUS: key })).err).toBe('')
  expect((await restore('three', {})).err).toContain('SECRET_KEY: is another than the backup was made with')
  expect(existsSync(elsewhere.file('three/meshgate.db'))).toBe(false)
  rmSync(elsewhere.file('.env'))
  const { err } = await restore('four', {})
  expect(err).toContain('.env of the gateway that made the backup')
  expect(err).not.toContain('writes a .env with one')
})

test('two backups into one file at once are two whole ones, and what a killed one left goes', async () => {
  using elsewhere = tempDir()
  const backup = elsewhere.file('backup.tar.zst')
  await using gateway = await spawnGateway()
  // The part of a process that is gone: no system counts pids that far.
  const abandoned = `${backup}.part-2000000000`
  const ofSomebody = `${backup}.part`
  for (const file of [abandoned, ofSomebody]) writeFileSync(file, 'half')
  const make = () => runCommand(gateway.directory, ['backup', backup, '--force'])
  const made = await Promise.all([make(), make(), make()])
  expect(made.map(({ exitCode, err }) => [exitCode, err])).toEqual(Array(3).fill([0, '']))
  expect(readdirSync(elsewhere.path).sort()).toEqual(['backup.tar.zst', 'backup.tar.zst.part'])
  const restored = await runCommand(gateway.directory, ['restore', backup, '--data-dir', 'other'])
  expect([restored.exitCode, restored.err]).toEqual([0, ''])
})

test('what is no file is not replaced by a backup', async () => {
  using elsewhere = tempDir()
  await using gateway = await spawnGateway()
  for (const target of [elsewhere.path, '/dev/null']) {
    const { exitCode, err } = await runCommand(gateway.directory, ['backup', target, '--force'])
    expect([exitCode, err]).toEqual([1, expect.stringContaining(`${target} is no file`)])
  }
})
