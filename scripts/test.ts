/**
 * Runs the tests and lists skipped ones. The last line is `N passed, N failed`. With CI=true a
 * skipped test is a failure, as that machine has everything the tests need.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'

const REPORT = 'dist/test-report.xml'
/** With three at once, a link by a bot behind Synapse runs into its limit of 15 s. */
const FILES_AT_ONCE = 2
/** Default limit for a test: a slow machine needs time, and a hanging test must end. */
const TIMEOUT_MS = 60_000

const MAX_MESSAGE_LENGTH = 2000
const ENTITIES: Record<string, string> = { '#10': '\n', quot: '"', lt: '<', gt: '>', amp: '&', apos: "'" }

const only = process.argv.slice(2)
const env = only.length === 0 ? { ...process.env, MESHGATE_BINARY: build() } : process.env
rmSync(REPORT, { force: true })
mkdirSync('dist', { recursive: true })
const run = Bun.spawn(
  [
    process.execPath,
    'test',
    `--timeout=${TIMEOUT_MS}`,
    `--parallel=${FILES_AT_ONCE}`,
    '--reporter=junit',
    `--reporter-outfile=${REPORT}`,
    ...only,
  ],
  { env, stdio: ['inherit', 'inherit', 'inherit'] },
)
const exitCode = await run.exited

const { ran, failures, leftOut } = readReport()
const inCi = process.env.CI === 'true'
const passed = ran - failures.length - leftOut.length
// Failures outside tests (a file doesn't load, a late error) are only in the exit code.
const failed = Math.max(failures.length, exitCode === 0 ? 0 : 1) + (inCi ? leftOut.length : 0)

console.log()
if (leftOut.length > 0) {
  console.log(`Left out: ${leftOut.length} tests that need something this machine doesn't have`)
  for (const name of leftOut) console.log(`  ${name}`)
}
for (const failure of failures) console.log(`Failed: ${failure}\n`)
if (ran === 0) console.log('No test ran')
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)

/** Builds the binary for tests that start the program: it starts sooner. @returns its path */
function build(): string {
  const { success, stdout, stderr } = Bun.spawnSync([process.execPath, 'scripts/build.ts'])
  if (success) return resolve('dist/meshgate')
  console.error(`${stdout}${stderr}`)
  console.log('The build failed, so no test ran\n0 passed, 1 failed')
  process.exit(1)
}

/** Failures include their messages, as some machines keep only the end of a long log. */
function readReport(): { ran: number; failures: string[]; leftOut: string[] } {
  let xml = ''
  try {
    xml = readFileSync(REPORT, 'utf8')
  } catch {
    // The run ended before it wrote a report; the exit code shows the failure.
  }
  const cases = [...xml.matchAll(/<testcase ([^>]*?)(\/>|>(.*?)<\/testcase>)/gs)]
  const is = (inner: string | undefined, tag: string) => inner?.includes(`<${tag}`) ?? false
  return {
    ran: cases.length,
    failures: cases
      .filter(([, , , inner]) => is(inner, 'failure') || is(inner, 'error'))
      .map(([, attributes, , inner]) => `${titleOf(attributes ?? '')}\n${messageOf(inner ?? '')}`),
    leftOut: cases
      .filter(([, , , inner]) => is(inner, 'skipped'))
      .map(([, attributes]) => titleOf(attributes ?? '')),
  }
}

function titleOf(attributes: string): string {
  const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? ''
  return [attribute('file'), attribute('classname'), attribute('name')]
    .filter(part => part !== '')
    .join(' > ')
}

function messageOf(inner: string): string {
  const attribute = /\bmessage="([^"]*)"/.exec(inner)?.[1] ?? ''
  const message = attribute.replace(/&(#10|quot|lt|gt|amp|apos);/g, (_, name: string) => ENTITIES[name] ?? '')
  return message.trim().slice(0, MAX_MESSAGE_LENGTH)
}
