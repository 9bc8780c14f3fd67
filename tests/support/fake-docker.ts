/**
 * `docker` for the commands of docs/deploy.md and docs/operations.md, without containers: for the
 * gateway's image it runs the gateway's program as the Dockerfile says, for others it checks names.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { MESHGATE } from './meshgate-program.ts'

const [compose, ...rest] = process.argv.slice(2)
if (compose !== 'compose') fail(`unknown command: ${compose}`)
const file = process.env.COMPOSE_FILE ?? 'compose.yaml'
if (!existsSync(file)) fail(`no ${file} here`)
const { services } = parse(readFileSync(file, 'utf8')) as {
  services: Record<string, { profiles?: string[] }>
}

const profiles: string[] = []
while (rest[0] === '--profile') profiles.push(rest.splice(0, 2)[1] ?? '')
const known = Object.values(services).flatMap(service => service.profiles ?? [])
for (const profile of profiles) if (!known.includes(profile)) fail(`no such profile: ${profile}`)

const [command, ...args] = rest
while (args[0]?.startsWith('-')) args.shift()
const [service, ...words] = args
if (service !== undefined && !(service in services)) fail(`no such service: ${service}`)
if (command === 'run' && service === 'meshgate') meshgate(words)
else if (command === 'exec' && service === 'meshgate') {
  // The program's name in the image.
  if (words[0] !== 'meshgate') fail(`the image has no ${words[0]}`)
  // A backup needs the folder alone; other commands would ask a running gateway.
  if (words[1] === 'backup') meshgate(words.slice(1))
} else if (!['build', 'up', 'down', 'run'].includes(command ?? '')) fail(`unknown command: ${command}`)

function meshgate(words: string[]): void {
  const data = join(process.cwd(), 'data')
  const { exitCode } = Bun.spawnSync([...MESHGATE, ...words], {
    cwd: data,
    env: {
      PATH: '/usr/bin:/bin',
      HOME: data,
      HOST: '0.0.0.0',
      PORT: '8080',
      BRIDGE_HOST: '0.0.0.0',
      BRIDGE_PORT: '8081',
      DATA_DIR: data,
    },
    stdio: ['inherit', 'inherit', 'inherit'],
  })
  process.exit(exitCode)
}

function fail(message: string): never {
  console.error(`docker: ${message}`)
  process.exit(1)
}
