/** Starts the measured program in its own folder, with a token and a linked device on demand. */
import { Database } from 'bun:sqlite'
import { join } from 'node:path'
import { type GatewayProcess, spawnGateway } from '../support/gateway-process.ts'
import { basic, bearer, type JsonClient, jsonClient } from '../support/json-client.ts'
import { waitFor } from '../support/wait-for.ts'
import { Malfunction } from './figure.ts'
import type { Program } from './program.ts'

/** Number of the linked phone, in digits. */
export const DEVICE = '237123456789'

/** Large queues, so that no measurement hits their limit. */
const ROOMY = { QUEUE_MAX: '100000000', QUEUE_MAX_PER_IDENTITY: '100000000' }

export interface LinkedGateway extends GatewayProcess {
  token: string
  /** With the token. */
  api: JsonClient
  sendPath: string
}

/** @param directory an earlier run's; by default a new one */
export function startGateway(
  program: Program,
  env: Record<string, string> = {},
  directory?: string,
): Promise<GatewayProcess> {
  const where = directory === undefined ? {} : { directory }
  return spawnGateway({ command: program.command, env: { ...ROOMY, ...env }, deadlineMs: 60_000, ...where })
}

export async function startLinkedGateway(
  program: Program,
  env: Record<string, string> = {},
  directory?: string,
): Promise<LinkedGateway> {
  const gateway = await startGateway(program, env, directory)
  const token = await createToken(gateway)
  const api = jsonClient(gateway.url, bearer(token))
  await linkDevice(gateway, token, DEVICE)
  return Object.assign(gateway, { token, api, sendPath: `/api/v1/devices/${DEVICE}/message` })
}

/** Creates a token with its own identity. */
export async function createToken({ url, clientId, clientSecret }: GatewayProcess): Promise<string> {
  const admin = jsonClient(url, basic(clientId, clientSecret))
  const { status, body } = await admin.post<{ token: string }>('/api/v1/tokens', { use_host: false })
  if (status !== 201) throw new Malfunction(`no token: ${status} ${JSON.stringify(body)}`)
  return body.token
}

/** Links a phone of the sandbox by its QR code. */
export async function linkDevice({ url }: GatewayProcess, token: string, phone: string): Promise<void> {
  const api = jsonClient(url, bearer(token))
  const asked = await api.post<{ qr_code_url: string }>('/api/v1/devices', { platform: 'wa' })
  if (asked.status !== 201) throw new Malfunction(`no code: ${asked.status} ${JSON.stringify(asked.body)}`)
  const code = await firstFrame(asked.body.qr_code_url)
  const linked = await jsonClient(new URL(code).origin).post(new URL(code).pathname, { phone })
  if (linked.status !== 200)
    throw new Malfunction(`not linked: ${linked.status} ${JSON.stringify(linked.body)}`)
  await waitFor(
    async () => {
      const { body } = await api.get<{ state: string }[]>('/api/v1/devices')
      return body.some(device => device.state === 'connected')
    },
    { what: 'a connected device', deadlineMs: 10_000 },
  )
}

function firstFrame(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    socket.onmessage = ({ data }) => {
      resolve(String(data))
      socket.close()
    }
    socket.onerror = () => reject(new Malfunction('the QR code could not be read'))
  })
}

/** Phones that never reply, so that only messages sent are counted. */
export async function createQuietPhones({ url }: GatewayProcess, count: number): Promise<string[]> {
  const api = jsonClient(url)
  const phones = Array.from({ length: count }, (_none, index) => String(491_520_000_000 + index))
  for (const phone of phones) {
    const { status } = await api.post('/sandbox/api/phones', { phone, echo: false })
    if (status !== 201) throw new Malfunction(`no phone: ${status}`)
  }
  return phones
}

/** Opens the database beside the running program. */
export function openReadOnly({ directory }: GatewayProcess): Database {
  return new Database(join(directory, 'data', 'meshgate.db'), { readonly: true })
}

/** @throws Malfunction when a request was refused */
export function assertNoneRefused(refused: Record<number, { count: number; body: string }>): void {
  for (const [status, { count, body }] of Object.entries(refused)) {
    throw new Malfunction(`${count} requests were answered ${status}, such as ${body}`)
  }
}
