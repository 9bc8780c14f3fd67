/** Events of a real Synapse, pushed or by /sync: each reaches the webhook once and in order. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { MessagePayload } from '../../../src/domain/events.ts'
import { differences, wholeEvent } from '../../support/event-examples.ts'
import { InboxReader } from '../../support/inbox-reader.ts'
import { type PortalDeployment, portalDeployment, SOURCES } from '../../support/portal-deployment.ts'
import { hasSynapse } from '../../support/synapse.ts'
import { waitFor } from '../../support/wait-for.ts'

setDefaultTimeout(180_000)

const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `message ${from + index}`)

describe.skipIf(!hasSynapse).each(SOURCES)('by %s', source => {
  let deployment: PortalDeployment

  beforeAll(async () => {
    deployment = await portalDeployment({ source })
  })
  afterAll(() => deployment?.[Symbol.asyncDispose]())

  /** By webhook-id, in order: a delivery open at a kill is repeated with the same id. */
  const deliveries = (reader: InboxReader) => {
    const found = new Map<string, MessagePayload>()
    for (const { headers, json } of reader.receiver.received) {
      const id = headers.get('webhook-id') ?? ''
      if (!found.has(id)) found.set(id, json as MessagePayload)
    }
    return found
  }
  const textsOf = (payloads: { message: string }[]) => payloads.map(({ message }) => message)

  test('a chat begins with an invitation, and goes both ways', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237001', userId)
    await portal.say('said before anybody was there', 'and more')
    expect(textsOf(await reader.take(2))).toEqual(['said before anybody was there', 'and more'])
    await portal.say('said since')
    const since = await reader.next()
    expect(since).toMatchObject({ message: 'said since', chat: { id: portal.roomId, kind: 'dm' } })

    const [sent] = await account.send(deployment.bridge.deviceId, { contact: '237002', text: 'hello' })
    await account.waitForStatus(sent?.id ?? '', ['sent', 'delivered', 'read'])
    const chat = await deployment.bridge.directChat(userId, '237002')
    expect(await chat.messages()).toEqual([{ sender: userId, body: 'hello' }])
  })

  test('a receipt of the contact makes a message read', async () => {
    const { account, userId } = await deployment.account()
    const [sent] = await account.send(deployment.bridge.deviceId, { contact: '237009', text: 'read me' })
    await account.waitForStatus(sent?.id ?? '', ['sent', 'delivered', 'read'])
    const chat = await deployment.bridge.directChat(userId, '237009')
    await chat.read(await chat.lastMessageId())
    await account.waitForStatus(sent?.id ?? '', ['read'])
  })

  test('two identities in one room hear everything once each', async () => {
    const [one, other] = [await deployment.account(), await deployment.account()]
    await using first = await InboxReader.open(one.account)
    await using second = await InboxReader.open(other.account)
    const portal = await deployment.bridge.portal('237003', one.userId, other.userId)
    const texts = numbered(0, 10)
    await portal.say(...texts)
    expect(textsOf(await first.take(10))).toEqual(texts)
    expect(textsOf(await second.take(10))).toEqual(texts)
    await portal.say('the last')
    expect((await first.next()).message).toBe('the last')
    expect((await second.next()).message).toBe('the last')
    expect([first.unread, second.unread]).toEqual([0, 0])
  })

  test('put out of a room, an identity hears nothing more of it until it is invited again', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237004', userId)
    await portal.say('welcome')
    expect((await reader.next()).message).toBe('welcome')
    await portal.kick(userId)
    await portal.say('behind its back')
    await portal.invite(userId)
    await waitFor(async () => (await portal.membershipOf(userId)) === 'join', { what: 'the second join' })
    await portal.say('welcome back')
    expect((await reader.next()).message).toBe('welcome back')
    expect(reader.unread).toBe(0)
  })

  test('nothing is sent in clear into a room that is encrypted', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const { deviceId } = deployment.bridge
    const [before] = await account.send(deviceId, { contact: '237008', text: 'in clear' })
    await account.waitForStatus(before?.id ?? '', ['sent', 'delivered', 'read'])
    const chat = await deployment.bridge.directChat(userId, '237008')
    await chat.encrypt()
    await chat.say('from now on it is encrypted')
    await reader.next()
    const [after] = await account.send(deviceId, { contact: '237008', text: 'not for everybody' })
    const failed = await account.waitForStatus(after?.id ?? '', ['failed'])
    expect(failed.reason).toContain('room_encrypted')
    expect((await chat.messages()).map(({ body }) => body)).not.toContain('not for everybody')
  })

  test('what no phone of the sandbox does has the fields that docs/events.md shows of it', async () => {
    const { account, userId } = await deployment.account()
    const portal = await deployment.bridge.portal('237010', userId)
    const [poll] = await portal.say('instead of a poll')
    await portal.tell('m.room.encrypted', { algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'x' })
    const about = { 'm.relates_to': { rel_type: 'm.reference', event_id: poll } }
    await portal.tell('org.matrix.msc3381.poll.end', { ...about, 'org.matrix.msc3381.poll.end': {} })
    for (const name of ['message.undecryptable', 'poll.ended']) {
      const event = await waitFor(async () => (await account.feed({ events: name }))[0], { what: name })
      const { payload } = event as unknown as { payload: object }
      expect([name, differences(payload, wholeEvent(name))]).toEqual([name, []])
    }
  })

  test('killed in the middle of traffic it misses nothing and repeats nothing', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237005', userId)
    const texts = numbered(0, 260)
    await portal.say(...texts.slice(0, 20))
    await reader.receiver.waitForCount(10)
    const talking = portal.say(...texts.slice(20, 60))
    const recoveries = deployment.synapse.recoveriesOf('meshgate')
    await deployment.gateway().kill()
    await talking
    // More than a /sync answer holds for a room, and a second chat that begins meanwhile.
    await portal.say(...texts.slice(60, 220))
    const stranger = await deployment.bridge.portal('237006', userId)
    await stranger.say('a new chat')
    await deployment.startGateway()
    // Events of the instant Synapse has caught up may come after later ones (docs/decisions/0017).
    if (source === 'appservice')
      await waitFor(() => deployment.synapse.recoveriesOf('meshgate') > recoveries, { deadlineMs: 90_000 })
    await portal.say(...texts.slice(220))
    await stranger.say('goes on')

    await portal.say('the end')
    const delivered = await waitFor(
      () => {
        const found = deliveries(reader)
        return found.size >= texts.length + 3 && found
      },
      { what: 'everything that was said', deadlineMs: 90_000 },
    )
    const received = [...delivered.values()]
    const of = (roomId: string) => textsOf(received.filter(({ chat }) => chat.id === roomId))
    expect(of(portal.roomId)).toEqual([...texts, 'the end'])
    expect(of(stranger.roomId)).toEqual(['a new chat', 'goes on'])
  })

  if (source === 'appservice')
    test('what the homeserver keeps back comes all the same', async () => {
      const { account, userId } = await deployment.account()
      await using reader = await InboxReader.open(account)
      const portal = await deployment.bridge.portal('237010', userId)
      await portal.say('before')
      expect((await reader.next()).message).toBe('before')
      await deployment.gateway().kill()
      await portal.say('kept back')
      // Mimics Synapse, which may skip events of the instant it has caught up
      // (docs/decisions/0017).
      await waitFor(() => forgetUnsent(deployment.synapse.databaseFile), {
        what: 'the transaction to be lost',
      })
      await deployment.startGateway()
      await portal.say('after')
      // A kill before the first delivery was stored repeats that delivery.
      const found = await waitFor(() => deliveries(reader).size >= 3 && deliveries(reader), {
        what: 'what was kept back',
        deadlineMs: 90_000,
      })
      expect(textsOf([...found.values()]).toSorted()).toEqual(['after', 'before', 'kept back'])
    })

  test('the homeserver restarts, and counts its transactions from 1 again: nothing is taken for a repeat', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237007', userId)
    // Transactions to the bridge count along, so two of the three series share ids.
    for (const [series, from] of [0, 15, 30].entries()) {
      if (series > 0) await deployment.synapse.restart()
      await portal.say(...numbered(from, 15))
      expect(textsOf(await reader.take(15))).toEqual(numbered(from, 15))
    }
    expect(reader.unread).toBe(0)
  })

  test('/ready says that the homeserver is away, and that it is back', async () => {
    await deployment.synapse.stop()
    const readiness = async () => {
      const answer = await fetch(`${deployment.gateway().url}/ready`)
      const { checks } = (await answer.json()) as { checks: Record<string, string> }
      return { status: answer.status, homeserver: checks.homeserver ?? '' }
    }
    const down = await waitFor(
      async () => {
        const found = await readiness()
        return found.status === 503 && found
      },
      { what: 'a gateway that is not ready', deadlineMs: 90_000 },
    )
    expect(down.homeserver).toContain("the homeserver can't be reached")
    await deployment.synapse.start()
    await waitFor(async () => (await readiness()).status === 200, {
      what: 'a ready gateway',
      deadlineMs: 90_000,
    })
  })

  test('polls that are under way do not hold up its stop', async () => {
    const gateway = deployment.gateway()
    expect(await gateway.stop()).toBe(0)
    expect(gateway.output()).not.toContain('"drained":false')
  })
})

test.skipIf(!hasSynapse)(
  'what the homeserver had yet to push when it was killed comes all the same',
  async () => {
    await using deployment = await portalDeployment({ source: 'appservice', env: { LOG_LEVEL: 'debug' } })
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237001', userId)
    await portal.say('before')
    expect((await reader.next()).message).toBe('before')
    // Waits for both reads that follow a start, as these would find everything.
    const { pid, output } = deployment.gateway()
    const looksBack = () => output().split('what was said lately was read once more').length - 1
    await waitFor(() => looksBack() === 2, { what: 'what is read after a start', deadlineMs: 120_000 })

    // While a transaction is open, Synapse keeps new events in memory and counts them as sent.
    process.kill(pid, 'SIGSTOP')
    await portal.say('in the transaction')
    await waitFor(() => hasUnsent(deployment.synapse.databaseFile), { what: 'the transaction' })
    await portal.say('remembered', 'and forgotten')
    await deployment.synapse.kill()
    await deployment.synapse.start()
    process.kill(pid, 'SIGCONT')
    await portal.say('after')
    const told = (await reader.take(4)).map(({ message }) => message)
    expect(told.toSorted()).toEqual(['after', 'and forgotten', 'in the transaction', 'remembered'])
    expect(reader.unread).toBe(0)
  },
)

function hasUnsent(databaseFile: string): boolean {
  using database = new Database(databaseFile, { readonly: true })
  return database.query('SELECT 1 FROM application_services_txns').get() !== null
}

/** Deletes Synapse's unsent transactions. @returns false when there were none */
function forgetUnsent(databaseFile: string): boolean {
  using database = new Database(databaseFile)
  database.run('PRAGMA busy_timeout = 5000')
  return database.run('DELETE FROM application_services_txns').changes > 0
}
