/** Gateway, homeserver and sandbox share one copy of each file, within the identity's quota. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf } from '../support/files.ts'
import { type Account, formWith, type Phone } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const QUOTA = 500_000
const FOLDERS = ['media', 'homeserver-media', 'sandbox-media']

let folder: TempDir
let gateway: TestGateway
let account: Account
let device: string
let phone: Phone
let friend: Phone

beforeAll(async () => {
  folder = tempDir()
  gateway = await testGateway({ MEDIA_QUOTA_PER_IDENTITY: String(QUOTA) }, folder.path)
  ;({ account, device, phone } = await gateway.client.linkedAccount())
  friend = await gateway.client.newPhone()
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

const fileOf = (sizeBytes: number, name: string, fields: Record<string, string>) =>
  formWith(fields, { name, type: 'application/pdf', content: bytesOf(sizeBytes, 3) })

/** Inode and size of every file, by folder. */
function onDisk(): { folder: string; ino: number; size: number }[] {
  return FOLDERS.flatMap(name => {
    const top = join(folder.path, 'data', name)
    return readdirSync(top, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => statSync(join(entry.parentPath, entry.name)))
      .map(({ ino, size }) => ({ folder: name, ino, size }))
  })
}

/** Waits until the files of this size are one inode, in all three folders. */
async function isOneCopy(size: number): Promise<void> {
  await waitFor(
    () => {
      const found = onDisk().filter(file => file.size === size)
      const folders = new Set(found.map(file => file.folder))
      return folders.size === FOLDERS.length && new Set(found.map(file => file.ino)).size === 1
    },
    { what: `one copy of the file of ${size} bytes` },
  )
}

test('a file that is sent is on the disk once', async () => {
  await account.send(device, fileOf(200_001, 'sent.pdf', { contact: friend.number, platform: 'wa' }))
  await friend.waitForMessage(({ file }) => file?.name === 'sent.pdf')
  await isOneCopy(200_001)
})

test('so is one that comes in', async () => {
  await using inbox = await InboxReader.open(account)
  await phone.send({ to: friend.number, text: 'hi' })
  await friend.send(fileOf(100_001, 'incoming.pdf', { to: device }))
  await inbox.next()
  await isOneCopy(100_001)
})

test('what is beyond the quota is a 413 that says how much there is, and nothing of it stays', async () => {
  const before = onDisk()
  const refused = await account.trySend<Record<string, unknown>>(
    device,
    fileOf(250_000, 'much.pdf', { contact: friend.number, platform: 'wa' }),
  )
  expect(refused).toMatchObject({
    status: 413,
    body: {
      code: 'quota_exceeded',
      used: 300_002,
      limit: QUOTA,
      error: expect.stringContaining('300002 of 500000'),
    },
  })
  expect(onDisk()).toEqual(before)
  await account.send(device, { contact: friend.number, text: 'texts go on' })
  await friend.waitForText('texts go on')
})

test('files that are old go in all three places', async () => {
  gateway.clock.skip(31 * 24 * 3_600_000)
  await waitFor(() => onDisk().length === 0, { what: 'files removed' })
})
