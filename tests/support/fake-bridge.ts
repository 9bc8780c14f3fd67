/**
 * A bridge program without a network, with one login for everybody, for tests of running bridges.
 * `-e -c FILE` writes its example configuration, `-c FILE` serves at that address.
 * GET /pid returns its process id, POST /crash ends it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'

const EXAMPLE = join(import.meta.dir, '..', 'unit', 'bridges', 'fixtures', 'bridgev2.yaml.txt')

const { values } = parseArgs({
  options: {
    config: { type: 'string', short: 'c', default: 'config.yaml' },
    example: { type: 'boolean', short: 'e' },
  },
})

if (values.example) {
  writeFileSync(values.config, readFileSync(EXAMPLE))
} else {
  const { appservice, homeserver, provisioning } = parse(readFileSync(values.config, 'utf8'))
  Bun.serve({
    hostname: appservice.hostname,
    port: appservice.port,
    routes: {
      '/pid': () => new Response(String(process.pid)),
      '/crash': { POST: () => process.exit(7) },
      '/_matrix/app/v1/ping': { POST: () => Response.json({}) },
      '/_matrix/provision/v3/whoami': request =>
        request.headers.get('authorization') === `Bearer ${provisioning.shared_secret}`
          ? Response.json({
              network: { displayname: 'Net' },
              login_flows: [{ id: 'qr', name: 'QR', description: '' }],
              bridge_bot: `@${appservice.bot.username}:localhost`,
              logins: [{ id: '237', name: 'Amina', state: { state_event: 'CONNECTED' } }],
            })
          : Response.json({ errcode: 'M_UNKNOWN_TOKEN', error: 'wrong secret' }, { status: 401 }),
    },
  })
  // Bridges report this once they have loaded their logins.
  void fetch(homeserver.status_endpoint, {
    method: 'POST',
    headers: { authorization: `Bearer ${appservice.as_token}` },
    body: JSON.stringify({ state_event: 'UNCONFIGURED' }),
  }).catch(error => console.log(`no state reported: ${error}`))
  console.log(`INFO: serving for ${process.env.SECRET_KEY ?? 'whoever has the secret'}`)
}
