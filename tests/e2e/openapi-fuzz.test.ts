/**
 * Schemathesis sends thousands of valid and invalid requests, made from the OpenAPI document. No
 * answer may be a 5xx of ours; status, content type, headers and body must be as documented.
 */
import { expect, test } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { basic, jsonClient } from '../support/json-client.ts'

const SCHEMATHESIS = join(import.meta.dir, '..', '..', '.tools', 'schemathesis', 'bin', 'schemathesis')
/** Gives the same requests every time. */
const SEED = 1
const REQUESTS_PER_OPERATION = 25
const MAX_MINUTES = 6

/**
 * Not checked: that just what fits a schema is accepted (a key may belong to another request, and
 * null may mean nothing), and that new things exist (a key's repeat gets the first answer even if
 * the thing has since been deleted).
 */
const EXCLUDED_CHECKS = [
  'positive_data_acceptance',
  'negative_data_rejection',
  'ensure_resource_availability',
]
/** Their paths are also a thing of that name, whose methods `Allow` tells as well. */
const ALSO_OTHER_PATHS = [
  'GET /api/v1/devices/qr-code',
  'POST /api/v1/devices/{device_id}/contacts/check',
  'GET /api/v1/messages/search',
]

test.skipIf(!existsSync(SCHEMATHESIS))(
  'every answer is as the OpenAPI document says',
  async () => {
    // Names that no request makes up: the credential must outlive the run.
    const clientId = `root-${Bun.randomUUIDv7()}`
    const env = {
      CLIENT_ID: clientId,
      CLIENT_SECRET: 'a secret of the tests',
      SECRET_KEY: 'a secret key of the tests',
      // Many requests have wrong secrets.
      AUTH_FAILURES_PER_CREDENTIAL: '1000000',
      AUTH_FAILURES_PER_ADDRESS: '1000000',
      LOG_LEVEL: 'error',
    }
    await using gateway = await spawnGateway({ env })
    const client = new GatewayClient(gateway)
    await client.account()
    const phones = `phones-${Bun.randomUUIDv7()}`
    const made = await client.admin.post<{ client_secret: string }>('/api/v1/credentials', {
      client_id: phones,
    })
    const own = jsonClient(gateway.url, basic(phones, made.body.client_secret))
    const account = client.accountOf((await own.post<{ token: string }>('/api/v1/tokens', {})).body.token)
    const device = await account.link((await client.newPhone()).number)

    // The list of credentials includes the one in use, which can't be deleted.
    await client.admin.post('/api/v1/credentials', { client_id: 'tried' })
    const config = join(gateway.directory, 'schemathesis.toml')
    writeFileSync(
      config,
      [
        '[auth.openapi.basicAuth]',
        `username = "${clientId}"`,
        `password = "${env.CLIENT_SECRET}"`,
        '[auth.openapi.bearerAuth]',
        `bearer = "${account.token}"`,
        '[parameters]',
        `"path.device_id" = "${device}"`,
        '"path.client_id" = "tried"',
        // All others are on by default; said on the command line, they would be on everywhere.
        '[checks]',
        ...EXCLUDED_CHECKS.map(check => `${check}.enabled = false`),
        ...ALSO_OTHER_PATHS.flatMap(operation => [
          '[[operations]]',
          `include-name = "${operation}"`,
          'checks.allow_header_conformance.enabled = false',
        ]),
      ].join('\n'),
    )
    const run = Bun.spawn(
      [
        ...[SCHEMATHESIS, '--config-file', config, 'run', `${gateway.url}/docs/json`],
        '--continue-on-failure',
        ...['--seed', `${SEED}`, '--max-examples', `${REQUESTS_PER_OPERATION}`, '--no-color'],
        ...['--request-timeout', '30'],
      ],
      { cwd: gateway.directory, env: { PATH: '/usr/bin:/bin', HOME: gateway.directory }, stdout: 'pipe' },
    )
    const report = await new Response(run.stdout).text()
    expect([await run.exited, report.includes('FAILURES') ? report : '']).toEqual([0, ''])
    expect(await account.devices()).toBeArray()
    expect(gateway.output()).not.toContain('request failed')
    expect(await gateway.stop()).toBe(0)
  },
  MAX_MINUTES * 60_000,
)
