/** `meshgate link`: links a phone from a terminal, through the running gateway. */
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Command } from 'commander'
import { messageOf } from '../../domain/errors.ts'
import type { LinkEvent } from '../../domain/views/link.ts'
import { isLoopback } from '../../lib/hosts.ts'
import { baseUrl, CommandError, type Terminal } from '../terminal.ts'
import { type Asking, answersTo } from './answers.ts'
import { type GatewayClient, gatewayClient, type NewToken, type StartedLink } from './gateway-client.ts'
import { createScreen } from './screen.ts'

interface LinkOptions {
  flow?: string
  deviceId?: string
  token?: string
  save?: string
  url?: string
  input: string[]
}

export function addLinkCommand(program: Command, terminal: Terminal): void {
  program
    .command('link')
    .description('link a phone: shows the QR code or the pairing code here, and asks what the login asks')
    .argument('<platform>', 'such as wa, signal, telegram')
    .option('--flow <flow>', "one of the bridge's logins, such as phone for a pairing code")
    .option('--device-id <id>', 'a device to link again')
    .option('--token <token>', 'the account that the device is for; by default a new one')
    .option('--save <file>', 'write the new token there, for its owner alone')
    .option('--input <name=value>', 'an answer known beforehand; repeatable', collect, [])
    .option('--url <url>', 'the gateway, unless it runs here')
    .action((platform: string, options: LinkOptions) => link(terminal, platform, options))
}

/**
 * Resolves when the device is linked.
 * @throws CommandError saying how the link ended otherwise
 */
export async function link(terminal: Terminal, platform: string, options: LinkOptions): Promise<void> {
  const file = options.save === undefined ? undefined : resolve(terminal.directory, options.save)
  if (file !== undefined && existsSync(file)) throw new CommandError(`--save: ${file} exists already`)
  const inputs = Object.fromEntries(options.input.map(keyAndValue))
  const url = options.url === undefined ? undefined : baseUrl('--url', options.url)
  const gateway = gatewayClient(terminal, url)
  const made = options.token === undefined ? await gateway.newToken() : null
  const token = made?.token ?? options.token ?? ''
  try {
    const request = { platform, flow: options.flow, device_id: options.deviceId, inputs }
    const started = await gateway.start(token, request)
    terminal.print(whereElse(started.link_url))
    const device = await followed(terminal, gateway, token, started)
    terminal.print(`linked ${platform} ${device.device_id}${device.name ? ` (${device.name})` : ''}`)
  } catch (error) {
    if (made) await takeBack(terminal, gateway, platform, made)
    throw error
  }
  if (made) tellToken(terminal, token, file)
}

/** The page's address is for all clients of the gateway, or for this machine alone. */
function whereElse(linkUrl: string): string {
  return isLoopback(new URL(linkUrl).hostname)
    ? `Or open this in a browser here (PUBLIC_URL makes it an address for other devices): ${linkUrl}`
    : `Or open this on another device: ${linkUrl}`
}

/** Nobody would know a token that was made for a link which failed. */
async function takeBack(
  terminal: Terminal,
  gateway: GatewayClient,
  platform: string,
  made: NewToken,
): Promise<void> {
  const isGone = await gateway.removeToken(made).catch(() => false)
  if (!isGone)
    terminal.complain(
      `its new token stays; to try again with it: meshgate link ${platform} --token ${made.token}`,
    )
}

function tellToken(terminal: Terminal, token: string, file: string | undefined): void {
  if (file !== undefined) {
    try {
      writeFileSync(file, `${token}\n`, { mode: 0o600, flag: 'wx' })
      terminal.print(`its token is in ${file}`)
      return
    } catch (error) {
      terminal.complain(`--save: ${messageOf(error)}`)
    }
  }
  terminal.print(`token ${token}`)
}

/** Shows each step, and gives what it asks for. Ctrl-C cancels the login. */
async function followed(
  terminal: Terminal,
  gateway: GatewayClient,
  token: string,
  { link: { id, platform } }: StartedLink,
): Promise<LinkEvent & { type: 'connected' }> {
  const screen = createScreen(terminal)

  /** Asks until the login goes on, or ends. */
  async function answered(asking: Asking): Promise<void> {
    for (let step: LinkEvent = asking; isDeepStrictEqual(step, asking); ) {
      const answers = await answersTo(terminal, asking)
      if (answers === null) return cancel()
      const refusal = await gateway.answer(token, id, answers).then(() => null, messageOf)
      if (refusal === null) return
      terminal.complain(refusal)
      step = await gateway.step(token, id)
    }
  }

  const cancel = () => void gateway.cancel(token, id).catch(() => undefined)
  process.once('SIGINT', cancel)
  try {
    for await (const event of gateway.follow(token, platform)) {
      await screen.show(event)
      if (event.type === 'connected') return event
      if (event.type === 'error') throw new CommandError(`not linked: ${event.message}`)
      if (!('fields' in event)) continue
      await answered(event)
    }
    const last = await gateway.step(token, id)
    if (last.type === 'connected') return last
    cancel()
    throw new CommandError('the gateway ended the connection before the device was linked')
  } finally {
    process.removeListener('SIGINT', cancel)
  }
}

function keyAndValue(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1)
    throw new CommandError(`--input: "${text}": expected name=value, such as phone_number=+237123456789`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}
