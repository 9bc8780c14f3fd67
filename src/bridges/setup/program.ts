/**
 * A bridge's program: finds it and asks it for its version and example configuration (`-e`), which
 * may also come from a file.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join, resolve } from 'node:path'
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
 * @param environment the only variables it gets
 * @throws GatewayError bridge_error when it can't run or writes no example
 */
export async function exampleFromProgram(
  command: readonly string[],
  environment: Record<string, string>,
  timeoutMs?: number,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-example-'))
  const file = join(folder, 'config.yaml')
  try {
    const { out, said } = await run([...command, '-e', '-c', file], environment, { cwd: folder, timeoutMs })
    if (existsSync(file)) return readFileSync(file, 'utf8')
    // Some programs print it.
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

/**
 * Makes a command's program an absolute path, also after `env NAME=value …`: it may later run with
 * another PATH and working directory.
 * @param from folder and PATH that the command was written for
 * @throws GatewayError bad_request when the program is missing or not executable
 */
export function locateProgram(
  command: readonly string[],
  from: { directory: string; path: string },
): string[] {
  const [program = '', ...args] = command
  const located = locate(program, from)
  if (basename(program) !== 'env') return [located, ...args]
  const behind = args.findIndex(word => !/^\w+=/.test(word))
  // Options of `env` may change the PATH.
  if (behind === -1 || args[behind]?.startsWith('-')) return [located, ...args]
  return [located, ...args.slice(0, behind), ...locateProgram(args.slice(behind), from)]
}

function locate(program: string, { directory, path }: { directory: string; path: string }): string {
  const found = Bun.which(program, { PATH: path, cwd: directory })
  if (found !== null) return resolve(directory, found)
  const isPath = program.includes('/')
  const folders = isPath ? [''] : path.split(delimiter).filter(folder => folder !== '')
  const present = folders.map(folder => resolve(directory, folder, program)).find(file => existsSync(file))
  if (present === undefined) throw missing(program, isPath)
  const problem = statSync(present).isDirectory()
    ? 'is a folder; expected the file of a program'
    : `isn't executable: chmod +x ${present}`
  throw new GatewayError('bad_request', `--command: ${present} ${problem}`)
}

function missing(program: string, isPath: boolean): GatewayError {
  const where = isPath ? 'there is no such file' : 'no folder of the PATH has it'
  const name = basename(program)
  const source = /^mautrix-\w+$/.test(name)
    ? `get it from https://github.com/${name.replace('-', '/')}/releases and `
    : ''
  return new GatewayError(
    'bad_request',
    `--command: ${program}: ${where}; ${source}put it where the PATH leads, or give its path, such as --command /opt/bridges/${name}`,
  )
}

/**
 * Runs it in its own session: child processes may outlive it and hold its output open, so the time
 * limit ends all of them.
 * @returns its standard output and standard error
 * @throws Error when it fails or takes too long
 */
async function run(
  command: string[],
  env: Record<string, string>,
  { cwd, timeoutMs = TIMEOUT_MS }: { cwd?: string; timeoutMs?: number | undefined } = {},
): Promise<{ out: string; said: string }> {
  const child = Bun.spawn(command, {
    ...(cwd === undefined ? {} : { cwd }),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    endSession(child)
  }, timeoutMs)
  try {
    const [out, said] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    const exitCode = await child.exited
    if (isLate) throw new Error(`it took longer than ${timeoutMs / 1_000} s`)
    if (exitCode !== 0) throw new Error(lastLine(said) || `it ended with ${child.signalCode ?? exitCode}`)
    return { out, said }
  } finally {
    clearTimeout(timer)
  }
}

function endSession(child: Bun.Subprocess): void {
  child.kill('SIGKILL')
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // All processes have ended, or the system (Windows) has no process groups.
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim().slice(0, 300) ?? ''
}

/** @returns its version line, such as `mautrix-whatsapp v0.12.5`; null when it can't run */
export async function programVersion(
  command: readonly string[],
  env: Record<string, string>,
): Promise<string | null> {
  try {
    const { out } = await run([...command, '--version'], env)
    // Parentheses hold the build's time and tools.
    return out.split('\n')[0]?.replace(/\(.*/, '').trim().slice(0, 100) || null
  } catch {
    return null
  }
}
