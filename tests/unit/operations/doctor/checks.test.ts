/** The doctor's findings on machines, homeservers and bridges, healthy and broken. */
import { describe, expect, test } from 'bun:test'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BridgeProbe, WhoamiOutcome } from '../../../../src/bridges/bridge-probe.ts'
import { media } from '../../../../src/db/schema/index.ts'
import { GatewayError } from '../../../../src/domain/errors.ts'
import type { HomeserverProbe, PingOutcome } from '../../../../src/matrix/homeserver-probe.ts'
import { type BridgeToCheck, bridgeCheck } from '../../../../src/modules/operations/doctor/bridge.ts'
import { databaseCheck } from '../../../../src/modules/operations/doctor/database.ts'
import { type Check, type Finding, ok, runChecks } from '../../../../src/modules/operations/doctor/doctor.ts'
import {
  accountsCheck,
  appserviceCheck,
  homeserverCheck,
} from '../../../../src/modules/operations/doctor/homeserver.ts'
import { clockCheck, diskCheck, permissionsCheck } from '../../../../src/modules/operations/doctor/machine.ts'
import { certificateFinding, publicUrlCheck } from '../../../../src/modules/operations/doctor/public-url.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { stagedFile } from '../../../support/messages.ts'
import { insertIdentity, insertToken } from '../../../support/rows.ts'
import { tempDb } from '../../../support/temp-db.ts'
import { tempDir } from '../../../support/temp-dir.ts'

/** `state detail` of each finding, and `→ advice` if there is any. */
async function findings(...checks: Check[]): Promise<string[]> {
  const all: Finding[] = await Array.fromAsync(runChecks(checks))
  return all.map(({ state, detail, advice }) => `${state} ${detail}${advice === null ? '' : ` → ${advice}`}`)
}

test('a check that throws is a failure of its own, and the others are run', async () => {
  const broken: Check = { subject: 'broken', run: () => Promise.reject(new Error('oh no')) }
  const fine: Check = { subject: 'fine', run: async () => [ok('one'), { ...ok('two'), subject: 'other' }] }
  expect(await Array.fromAsync(runChecks([broken, fine]))).toEqual([
    { subject: 'broken', state: 'failure', detail: 'oh no', advice: expect.stringContaining('report') },
    { subject: 'fine', state: 'ok', detail: 'one', advice: null },
    { subject: 'other', state: 'ok', detail: 'two', advice: null },
  ])
})

describe('the disk', () => {
  const MIB = 1024 * 1024
  const check = (freeBytes: number, freeFiles: number | null = 1_000) =>
    findings(diskCheck('/tmp', async () => ({ freeBytes, freeFiles })))

  test.each([
    [99 * MIB, 'failure only 99 MiB free'],
    [100 * MIB, 'warning only 100 MiB free'],
    [1_023 * MIB, 'warning only 1,023 MiB free'],
    [1_024 * MIB, 'ok 1,024 MiB free'],
  ])('%p bytes free', async (freeBytes, start) => {
    expect((await check(freeBytes))[0]).toStartWith(start)
  })

  test('without room for another file', async () => {
    expect((await check(5_000 * MIB, 0))[0]).toStartWith('failure no more files can be made in /tmp')
    expect((await check(5_000 * MIB, null))[0]).toStartWith('ok ')
  })

  test('of this machine, and of a folder that isn’t there yet', async () => {
    expect((await findings(diskCheck('/')))[0]).toContain('MiB free in /')
    expect((await findings(diskCheck('/nowhere')))[0]).toStartWith("skipped /nowhere isn't there yet")
  })

  test('of what is no folder, or lies in no folder', async () => {
    using folder = tempDir()
    const file = folder.file('data')
    writeFileSync(file, '')
    const failed = `failure ${file} is no folder → let DATA_DIR name a folder`
    expect(await findings(diskCheck(file))).toEqual([failed])
    expect(await findings(diskCheck(join(file, 'deeper', 'still')))).toEqual([failed])
  })
})

describe('the clock', () => {
  const clock = new ManualClock()
  const check = (homeserverOffMs: number | null, rowOffMs: number | null = null) =>
    findings(
      clockCheck(clock, async () => ({
        homeserverNow: homeserverOffMs === null ? null : clock.now() + homeserverOffMs,
        newestRow: rowOffMs === null ? null : clock.now() + rowOffMs,
      })),
    )

  test.each<[number | null, number | null, string]>([
    [null, null, 'ok 2026-04-27T10:00:00.000Z'],
    [0, -60_000, "ok as the homeserver's"],
    [4_999, null, "ok as the homeserver's"],
    [5_000, null, "warning 5 s behind the homeserver's clock"],
    [-7_200_000, null, "failure 7,200 s ahead of the homeserver's clock"],
    [0, 86_400_000, 'failure the clock is behind: the database has something from 86,400 s ahead'],
  ])('the homeserver %p ms ahead, the newest row %p ms', async (homeserver, row, start) => {
    expect((await check(homeserver, row))[0]).toStartWith(start)
  })
})

test('files that other users can read are named, with the command that closes them', async () => {
  using folder = tempDir()
  const [open, closed] = [folder.file('it is open'), folder.file('closed')]
  for (const file of [open, closed]) writeFileSync(file, '')
  chmodSync(open, 0o640)
  chmodSync(closed, 0o600)
  expect(await findings(permissionsCheck([closed, folder.file('missing')]))).toEqual([
    'ok no other user can read our files',
  ])
  expect(await findings(permissionsCheck([open, closed]))).toEqual([
    `warning other users can read ${open} → chmod go= '${open}'`,
  ])
})

describe('the database', () => {
  test('whole and of this version; one that lacks a migration; one that is damaged; none', async () => {
    using folder = tempDir()
    const db = tempDb()
    const file = db.connection.filename
    expect(await findings(databaseCheck(file, null))).toEqual([
      `ok ${file} is whole`,
      expect.stringMatching(/^ok all \d+ migrations are applied$/),
    ])
    db.connection.run(
      'DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)',
    )
    expect((await findings(databaseCheck(file, null)))[1]).toMatch(
      /^warning 1 of \d+ migrations are missing → run meshgate migrate up/,
    )
    db.connection.run("INSERT INTO schema_migrations VALUES (999, 'of the future', 0)")
    expect((await findings(databaseCheck(file, null))).at(-1)).toStartWith(
      `failure ${file}: the database has migration 999`,
    )
    await db.destroy()
    writeFileSync(
      folder.file('broken.db'),
      'this is no database, and longer than the header of one '.repeat(100),
    )
    expect((await findings(databaseCheck(folder.file('broken.db'), null)))[0]).toContain(
      'file is not a database',
    )
    expect((await findings(databaseCheck(folder.file('none.db'), null)))[0]).toStartWith('skipped ')
  })
})

test('identities whose files nearly fill their quota', async () => {
  const db = tempDb()
  for (const [identity, sizeBytes] of [
    ['id_1', 899],
    ['id_2', 900],
  ] as const) {
    insertIdentity(db, identity, `@${identity}:s`)
    db.orm
      .insert(media)
      .values({
        ...stagedFile({ id: identity, identityId: identity, sizeBytes }),
        createdAt: 0,
        updatedAt: 0,
      })
      .run()
  }
  expect((await findings(databaseCheck(db.connection.filename, 1_000))).slice(2)).toEqual([
    expect.stringMatching(/^warning the files of @id_2:s take 900 of 1000 bytes: .* → raise MEDIA_QUOTA/),
  ])
  await db.destroy()
})

describe('identities that are shared with plain users', () => {
  const lookAt = async (
    ...rows: [id: number, credential: string | null, identity: string, isAdmin: boolean][]
  ) => {
    const db = tempDb()
    for (const credential of ["'root', '', 'super_admin'", "'app', '', 'user'"])
      db.connection.run(`INSERT INTO credentials VALUES (${credential}, '[]', '', 1, 0, 0)`)
    for (const identity of new Set(rows.map(row => row[2]))) insertIdentity(db, identity, `@${identity}:s`)
    db.connection.run("UPDATE identities SET is_host = 1 WHERE id = 'host'")
    for (const [id, credentialId, identityId, isAdmin] of rows)
      insertToken(db, { id, credentialId, identityId, isAdmin })
    const found = await findings(databaseCheck(db.connection.filename, null))
    await db.destroy()
    return found.slice(2)
  }

  test('none where only super admins share the host', async () => {
    expect(
      await lookAt([1, 'root', 'host', true], [2, null, 'host', false], [3, 'app', 'own', false]),
    ).toEqual([])
  })

  test("a host of a plain user's, also where a super admin shares it already", async () => {
    expect(await lookAt([3, 'app', 'host', true])).toEqual([
      expect.stringMatching(
        /^warning the host identity belongs to token 3 \(app\) .* → make a token with use_host false/,
      ),
    ])
    expect(await lookAt([3, 'app', 'host', true], [4, 'root', 'host', false])).toEqual([
      expect.stringMatching(
        /^warning token 3 \(app\) .* token 4 \(root\) share .*use_host false .* then delete token 4/,
      ),
    ])
  })

  test('an identity that stayed shared after the host has moved', async () => {
    expect(await lookAt([3, 'app', 'own', false], [4, 'root', 'own', false])).toEqual([
      expect.stringMatching(/^warning .* → delete token 4 .*, or delete token 3 \(app\)$/),
    ])
  })
})

describe('the homeserver', () => {
  const site = (probe: Partial<HomeserverProbe>, more = {}) => ({
    url: 'http://hs',
    serverName: 'example.org',
    isEmbedded: false,
    isRunning: true,
    probe: probe as HomeserverProbe,
    ...more,
  })
  const versions = (newest: string) => async () => ({ newest, date: null })
  const software = async () => 'Synapse 1.163.2'

  test('there, too old, not there', async () => {
    const check = (probe: Partial<HomeserverProbe>, more = {}) => findings(homeserverCheck(site(probe, more)))
    expect(await check({ versions: versions('v1.12'), software })).toEqual([
      'ok Synapse 1.163.2 at http://hs, Matrix v1.12',
    ])
    expect((await check({ versions: versions('v1.3'), software: async () => null }))[0]).toStartWith(
      'failure a homeserver at http://hs, Matrix v1.3 is too old',
    )
    expect((await check({ versions: async () => ({ error: 'nobody there' }) }))[0]).toBe(
      "failure doesn't answer at http://hs (nobody there) → start it, or set MATRIX_HOMESERVER_URL to where it is",
    )
    expect((await check({}, { isEmbedded: true, isRunning: false }))[0]).toStartWith('skipped ')
  })

  test('our own registration there', async () => {
    const options = { appserviceId: 'meshgate', asToken: 'as', isRunning: true }
    const check = (probe: Partial<HomeserverProbe>, more = {}) =>
      findings(appserviceCheck(site(probe), { ...options, ...more }))
    const whoami = async () => ({ userId: '@meshgate:example.org' })
    const ping = (outcome: PingOutcome) => async () => outcome
    expect(await check({ whoami, ping: ping({ kind: 'reached' }) })).toEqual([
      'ok the homeserver takes MATRIX_AS_TOKEN as @meshgate:example.org',
      'ok the homeserver knows the gateway and reaches it',
    ])
    expect((await check({ whoami, ping: ping({ kind: 'unreachable', detail: 'no way' }) }))[1]).toStartWith(
      "failure the homeserver can't reach the gateway (no way) → the url of the registration must be one",
    )
    expect((await check({ whoami }, { isRunning: false }))[1]).toStartWith('skipped ')
    expect((await check({ whoami: async () => ({ refusal: 'Unknown token' }) }))[0]).toStartWith(
      "failure the homeserver doesn't take MATRIX_AS_TOKEN (Unknown token) → add what `meshgate registration` prints",
    )
    expect((await check({ whoami: async () => ({ userId: '@meshgate:other.org' }) }))[0]).toStartWith(
      "failure the homeserver's name is other.org, not example.org → set MATRIX_SERVER_NAME=other.org",
    )
  })

  test('users', async () => {
    expect(await findings(accountsCheck(null, ''))).toEqual(['ok the embedded homeserver makes them itself'])
    expect(await findings(accountsCheck(async () => 'tried', 'magic'))).toEqual(['ok works by magic (tried)'])
    const refuse = () => Promise.reject(new GatewayError('homeserver_error', 'it refuses'))
    expect((await findings(accountsCheck(refuse, 'magic')))[0]).toStartWith(
      'failure by magic: it refuses → is the homeserver up, and do the settings under "Matrix"',
    )
  })
})

describe('a bridge', () => {
  const accepted: WhoamiOutcome = {
    kind: 'accepted',
    network: 'WhatsApp',
    flows: ['qr', 'phone'],
    bot: '@whatsappbot:example.org',
  }
  const check = (
    probe: Partial<BridgeProbe> = {},
    ping: PingOutcome = { kind: 'reached' },
    more: Partial<BridgeToCheck> = {},
  ) =>
    findings(
      bridgeCheck({
        platform: 'wa',
        url: 'http://wa:29318',
        secret: 'secret',
        attached: { registrationId: 'whatsapp', asToken: 'as', registrationFile: '/wa/registration.yaml' },
        startCommand: 'cd /wa && mautrix-whatsapp -c config.yaml',
        process: { isOurs: false, isGatewayUp: true, notes: null },
        version: async () => null,
        isEmbedded: false,
        userId: '@meshgate:example.org',
        probe: { reach: async () => ({ isBridge: true }), whoami: async () => accepted, ...probe },
        homeserver: { ping: async () => ping } as unknown as HomeserverProbe,
        deviceStates: async () => new Map(),
        ...more,
      }),
    )

  test('that is well', async () => {
    expect(await check()).toEqual([
      'ok runs at http://wa:29318',
      'ok the homeserver knows the wa bridge and reaches it',
      'ok takes our secret; WhatsApp, login by qr, phone',
      'ok no device is linked yet',
    ])
    const process = { isOurs: true, isGatewayUp: true, notes: 'process 7' }
    const [first] = await check({}, undefined, { process, version: async () => 'mautrix-whatsapp v0.12.5' })
    expect(first).toBe('ok runs at http://wa:29318 (process 7; mautrix-whatsapp v0.12.5)')
  })

  test('whose last update failed', async () => {
    const failedUpdate = { problem: 'v2 did not become ready', advice: 'try again' }
    expect((await check({}, undefined, { failedUpdate })).slice(0, 2)).toEqual([
      'ok runs at http://wa:29318',
      'warning v2 did not become ready → try again',
    ])
  })

  test('whose chats are encrypted, or will be', async () => {
    const encryption = (setting: string | null, chats: number) => async () => ({ setting, chats })
    const last = async (setting: string | null, chats: number) =>
      (await check({}, undefined, { encryption: encryption(setting, chats) })).at(-1)
    expect(await last(null, 3)).toStartWith('warning 3 of its chats are end-to-end encrypted')
    expect(await last('encryption.default', 3)).toStartWith(
      'failure its configuration turns end-to-end encryption on (encryption.default)',
    )
    expect(await last(null, 0)).toBe('ok no device is linked yet')
  })

  test('that doesn’t run: how to start it, or where to look', async () => {
    const reach = async () => ({ error: 'connection refused' })
    expect(await check({ reach })).toEqual([
      "failure doesn't answer at http://wa:29318 (connection refused) → start it: cd /wa && mautrix-whatsapp -c config.yaml",
    ])
    const process = { isOurs: true, isGatewayUp: true, notes: 'not running, 3 restarts, last: exit 11' }
    const advised = async (isGatewayUp: boolean) =>
      (await check({ reach }, undefined, { process: { ...process, isGatewayUp } }))[0]
    expect(await advised(true)).toBe(
      "failure doesn't answer at http://wa:29318 (connection refused); not running, 3 restarts, last: exit 11 → the gateway runs it: meshgate bridge logs wa says what is wrong",
    )
    expect(await advised(false)).toEndWith('→ the gateway runs it, and is down: start the gateway')
  })

  test('that is something else', async () => {
    expect((await check({ reach: async () => ({ isBridge: false }) }))[0]).toStartWith(
      "warning what answers at http://wa:29318 doesn't look like a mautrix bridge",
    )
  })

  test.each<[PingOutcome, boolean, string]>([
    [
      { kind: 'unknown_token' },
      false,
      "failure the homeserver doesn't know the wa bridge → add /wa/registration.yaml to app_service_config_files",
    ],
    [
      { kind: 'unknown_token' },
      true,
      "failure the homeserver doesn't know the wa bridge → is the running gateway",
    ],
    [{ kind: 'other_registration' }, false, 'failure the homeserver knows the wa bridge under another id'],
    [{ kind: 'no_url' }, false, 'failure the registration of the wa bridge at the homeserver has no url'],
    [{ kind: 'unreachable', detail: 'x' }, false, "failure the homeserver can't reach the wa bridge (x)"],
    [
      { kind: 'refused', detail: 'x' },
      false,
      "failure the wa bridge doesn't take the homeserver's token (x)",
    ],
    [{ kind: 'no_ping', detail: 'x' }, false, 'warning the wa bridge has no ping'],
    [
      { kind: 'strange', detail: 'x' },
      false,
      "failure what answers at the url of the registration isn't the wa bridge (x)",
    ],
    [{ kind: 'failed', detail: 'x' }, false, "failure the homeserver couldn't be asked (x)"],
    [{ kind: 'unsupported' }, false, "skipped the homeserver can't be asked"],
  ])('%p', async (ping, isEmbedded, start) => {
    expect((await check({}, ping, { isEmbedded }))[1]).toStartWith(start)
  })

  test('whose registration or homeserver can’t be asked', async () => {
    expect((await check({}, undefined, { attached: null }))[1]).toStartWith(
      'skipped its registration is unknown',
    )
    expect((await check({}, undefined, { homeserver: null }))[1]).toStartWith(
      'skipped the homeserver is the gateway',
    )
  })

  test.each<[WhoamiOutcome, string]>([
    [{ kind: 'no_api' }, 'warning has no provisioning API: it is driven by commands to its bot'],
    [
      { kind: 'refused', detail: 'M_X' },
      "failure doesn't take our provisioning secret (M_X) → was it started with",
    ],
    [{ kind: 'failed', detail: 'HTTP 500' }, 'failure answers its provisioning API wrongly (HTTP 500)'],
  ])('%p', async (outcome, start) => {
    expect((await check({ whoami: async () => outcome }))[2]).toStartWith(start)
  })

  test('with devices', async () => {
    const deviceStates = (states: [string, number][]) => ({ deviceStates: async () => new Map(states) })
    expect((await check({}, undefined, deviceStates([['connected', 2]])))[3]).toBe('ok devices: 2 connected')
    expect(
      (
        await check(
          {},
          undefined,
          deviceStates([
            ['connected', 2],
            ['logged_out', 1],
          ]),
        )
      )[3],
    ).toStartWith('warning devices: 2 connected, 1 logged_out → link the lost ones again')
  })
})

describe('the public URL', () => {
  const clock = new ManualClock()

  test('unset, leading here, leading elsewhere, leading nowhere', async () => {
    const check = (url: string | undefined, isRunning = true) =>
      findings(publicUrlCheck(url, isRunning, clock))
    using gateway = Bun.serve({ port: 0, fetch: () => Response.json({ status: 'ok', version: '1.0.0' }) })
    using other = Bun.serve({ port: 0, fetch: () => new Response('hello', { status: 404 }) })
    expect((await check(undefined))[0]).toStartWith('warning PUBLIC_URL is not set')
    expect((await check(gateway.url.origin))[0]).toBe(`ok ${gateway.url.origin} leads to a gateway`)
    expect((await check(other.url.origin))[0]).toStartWith(
      `failure what answers at ${other.url.origin} is no gateway (HTTP 404)`,
    )
    expect((await check('http://127.0.0.1:1'))[0]).toContain('connection refused')
    expect((await check('http://127.0.0.1:1', false))[0]).toStartWith('skipped ')
  })

  test.each([
    [-1, 'failure', 'the certificate ended on 2026-04-26'],
    [1, 'warning', 'the certificate ends in 1 days, on 2026-04-28'],
    [14, 'ok', 'the certificate is good until 2026-05-11'],
  ])('a certificate with %p days left', (days, state, detail) => {
    const finding = certificateFinding(clock.now() + days * 86_400_000, clock.now())
    expect(finding).toMatchObject({ state, detail })
  })
})
