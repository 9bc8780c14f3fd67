/** PostgreSQL on its own port and folder: `await using postgres = await startPostgres()`. */
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SQL } from 'bun'
import { freePort, type Program, startProgram } from './program.ts'

/** Debian keeps the server's programs out of the PATH. */
const binaries = programsFolder()

export const hasPostgres = binaries !== undefined

const USER = 'test'
const DATABASE = 'postgres'
/** PostgreSQL refuses to run as root; then it runs as `nobody`. */
const NOBODY = 65_534
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']

export interface Postgres extends AsyncDisposable {
  port: number
  user: string
  database: string
  /** Rows of one query. */
  query(text: string, parameters?: unknown[]): Promise<Record<string, unknown>[]>
}

export async function startPostgres(): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-postgres-'))
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(folder, NOBODY, NOBODY)
  const command = (name: string, ...args: string[]) => [
    ...(isRoot ? AS_NOBODY : []),
    join(binaries ?? '', name),
    '-D',
    folder,
    ...args,
  ]
  const port = freePort()
  let program: Program
  try {
    const made = Bun.spawnSync(
      // Synapse wants a text order that no update of the machine changes.
      command('initdb', '-U', USER, '-A', 'trust', '--locale=C', '--encoding=UTF8', '--no-sync'),
      { cwd: folder },
    )
    if (!made.success) throw new Error(`initdb: ${made.stdout}${made.stderr}`)
    program = await startProgram({
      name: 'PostgreSQL',
      command: command('postgres', '-p', String(port), '-k', folder, '-h', '127.0.0.1', '-F'),
      cwd: folder,
      isReady: output => output.includes('database system is ready to accept connections'),
    })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  const client = new SQL({ hostname: '127.0.0.1', port, username: USER, database: DATABASE, max: 1 })
  return {
    port,
    user: USER,
    database: DATABASE,
    query: (text, parameters = []) => client.unsafe(text, parameters),
    async [Symbol.asyncDispose]() {
      await client.close()
      await program.end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function programsFolder(): string | undefined {
  const initdb = Bun.which('initdb')
  if (initdb !== null) return dirname(initdb)
  const versions = globSync('/usr/lib/postgresql/*/bin').toSorted()
  return versions.findLast(folder => existsSync(join(folder, 'initdb')))
}
