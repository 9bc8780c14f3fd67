/** What a bridge's program can be asked without running it: its example configuration (`-e`), which may also come as a file, and its version. */
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { GatewayError, messageOf } from '../../domain/errors.ts'

/** How long the program may take to write its example, in milliseconds. */
const TIMEOUT_MS = 20_000

/** @throws GatewayError bad_request when the file can't be read */
export function exampleFromFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new GatewayError('bad_request', `--example: ${file} can't be read: ${messageOf(error)}`)
  }
}

/**
 * Runs `<command> -e -c <file>`, by which every mautrix bridge in Go writes its example.
 * @param environment the only variables of ours that it gets
 * @throws GatewayError bad_request when there is no such program, bridge_error when it can't be run
 * or writes none
 */
export async function exampleFromProgram(
  command: readonly string[],
  environment: Record<string, string>,
): Promise<string> {
  refuseMissing(command, environment.PATH ?? '')
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-example-'))
  const file = join(folder, 'config.yaml')
  try {
    const { out, said } = await run([...command, '-e', '-c', file], folder, environment)
    if (existsSync(file)) return readFileSync(file, 'utf8')
    // Some print it.
    if (/^appservice:/m.test(out)) return out
    throw new Error(lastLine(said) || 'it wrote no file')
  } catch (error) {
    throw new GatewayError(
      'bridge_error',
      `--command: ${command[0]} gave no example configuration (\`-e\`): ${messageOf(error)}; give it one with --example`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function refuseMissing([program = '']: readonly string[], path: string): void {
  const isPath = program.includes('/')
  if (isPath ? existsSync(program) : findProgram(program, path)) return
  const where = isPath ? 'there is no such file' : 'no folder of the PATH has it'
  const name = basename(program)
  const source = /^mautrix-\w+$/.test(name)
    ? `get it from https://github.com/${name.replace('-', '/')}/releases and `
    : ''
  throw new GatewayError(
    'bad_request',
    `--command: ${program}: ${where}; ${source}put it where the PATH leads, or give its path, such as --command /opt/bridges/${name}`,
  )
}

/** @returns what it printed, and what it said on standard error */
async function run(
  command: string[],
  cwd: string,
  env: Record<string, string>,
): Promise<{ out: string; said: string }> {
  const child = Bun.spawn(command, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const [out, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  const exitCode = await child.exited
  if (exitCode !== 0) throw new Error(lastLine(said) || `it ended with ${child.signalCode ?? exitCode}`)
  return { out, said }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim().slice(0, 300) ?? ''
}

/** @returns what it says of itself, such as `mautrix-whatsapp v0.12.5`; null when it can't be run */
export async function programVersion(
  command: readonly string[],
  env: Record<string, string>,
): Promise<string | null> {
  try {
    const child = Bun.spawn([...command, '--version'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    const said = await new Response(child.stdout).text()
    // What stands in parentheses is when and by what it was built.
    const version = said.split('\n')[0]?.replace(/\(.*/, '').trim().slice(0, 100)
    return (await child.exited) === 0 && version ? version : null
  } catch {
    return null
  }
}

/** @param path list of folders as in PATH. @returns the program's file, null when no folder has it */
export function findProgram(name: string, path: string): string | null {
  const candidates = path
    .split(delimiter)
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
  return candidates.find(isExecutable) ?? null
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
