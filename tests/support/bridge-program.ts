/** Mautrix bridges as processes that a test can end and start again. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { answers, freePort, type Program, startProgram } from './program.ts'
import { waitFor } from './wait-for.ts'

const TOOLS = join(import.meta.dir, '..', '..', '.tools')
/** The real WhatsApp bridge, in two versions; null unless `make e2e-tools` has built it. */
export const whatsappBridges = {
  oldest: toolOrNull('mautrix-whatsapp/oldest/mautrix-whatsapp'),
  current: toolOrNull('mautrix-whatsapp/current/mautrix-whatsapp'),
}
/** The bridge of tests/e2e/bridge; null unless `make e2e-tools` has built it. */
export const testBridge = toolOrNull('testbridge/testbridge')

const START_DEADLINE_MS = 60_000

export interface BridgeOptions {
  /** The program's file. */
  program: string
  /** Further configuration, such as `{ 'network.proxy': '…' }`. */
  settings?: Record<string, string>
  /** The gateway runs the program, not the test. */
  supervised?: boolean
}

export class BridgeProgram implements AsyncDisposable {
  readonly port = freePort()
  readonly url = `http://127.0.0.1:${this.port}`
  private readonly controlPort = freePort()
  /** The control port of the test bridge's network. */
  readonly controlUrl = `http://127.0.0.1:${this.controlPort}`
  private running: Program | undefined

  /** @param folder of its config.yaml */
  constructor(
    private readonly folder: string,
    readonly options: BridgeOptions,
  ) {}

  get configFile(): string {
    return join(this.folder, 'config.yaml')
  }

  /** The bridge's id at its homeserver. */
  get appserviceId(): string {
    const registration = readFileSync(join(this.folder, 'registration.yaml'), 'utf8')
    return (parse(registration) as { id: string }).id
  }

  /** Writes its example configuration. */
  writeExample(file: string): void {
    const { program } = this.options
    const { success, stdout, stderr } = Bun.spawnSync([program, '-e', '-c', file])
    if (!success) throw new Error(`${program} wrote no example: ${stdout}${stderr}`)
  }

  /** Resolves when the bridge is ready at its homeserver. */
  async start(): Promise<void> {
    const { program, supervised } = this.options
    if (supervised) {
      await waitFor(() => this.isReady(), {
        what: `${program} run by the gateway`,
        deadlineMs: START_DEADLINE_MS,
      })
      return
    }
    this.running = await startProgram({
      name: program.split('/').at(-1) ?? program,
      command: [program, '-c', this.configFile],
      cwd: this.folder,
      env: {
        TESTBRIDGE_CONTROL: `127.0.0.1:${this.controlPort}`,
        TESTBRIDGE_JOURNAL: join(this.folder, 'network.journal'),
      },
      isReady: () => this.isReady(),
      deadlineMs: START_DEADLINE_MS,
    })
  }

  private isReady(): Promise<boolean> {
    return answers(`${this.url}/_matrix/mau/ready`)
  }

  async stop(): Promise<void> {
    await this.running?.end()
  }

  async kill(): Promise<void> {
    await this.running?.end('SIGKILL')
  }

  /** Output since the last start. */
  output(): string {
    return this.running?.output() ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}

function toolOrNull(path: string): string | null {
  const file = join(TOOLS, path)
  return existsSync(file) ? file : null
}
