/**
 * A bridge's running logins. Each is a state machine that stays on a step until something moves it.
 *
 * Steps have versions because a refreshed QR code is a new step with the same id: a waiting caller
 * gets a step newer than the last one returned.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { MatrixError } from '../../lib/matrix-error.ts'
import { existsOnNetwork, parsePhone } from '../network/phone-number.ts'
import { SERVICE_PHONE } from '../network/seed.ts'
import type { BridgeContext } from './context.ts'
import type { LinkCodes } from './link-codes.ts'

/** The bridge's own refusal; a plain MatrixError is the homeserver's. */
export class ProvisioningError extends MatrixError {}

const QR_REFRESH_MS = 20_000
const QR_CODES = 5

interface InputField {
  type: string
  id: string
  name: string
  description: string
}

export interface LoginStep {
  type: 'display_and_wait' | 'user_input' | 'complete'
  step_id: string
  instructions: string
  txn_id: string
  display_and_wait?: { type: 'qr' | 'code' | 'nothing'; data?: string }
  user_input?: { fields: InputField[] }
  complete?: { user_login_id: string }
}

export type LoginProcess = ReturnType<typeof startLogin>

interface LoginParts {
  context: BridgeContext
  codes: LinkCodes
  /** Start of the URL in a QR code. */
  baseUrl: () => string
}

/**
 * @param replaces login being renewed; another account may take its place
 * @throws ProvisioningError when the platform has no such flow
 */
function startLogin(parts: LoginParts, userId: string, flowId: string, replaces: string | null) {
  const { context, codes, baseUrl } = parts
  const { clock, facts, network } = context
  const stepPrefix = `fi.mau.${facts.networkId}.login`
  if (!facts.flows.some(flow => flow.id === flowId)) {
    throw new ProvisioningError(404, 'M_NOT_FOUND', `Invalid login flow ID ${flowId}`)
  }
  const ending = new AbortController()
  let current: LoginStep = { type: 'display_and_wait', step_id: '', instructions: '', txn_id: '' }
  let version = 0
  let returned = 0
  let failure: ProvisioningError | null = null
  let linking = false
  let takeInput: (typed: string) => Promise<unknown> = async () => {}
  /** Resolves when the step changes or the login ends. */
  let moved = Promise.withResolvers<void>()

  function moveTo(step: Omit<LoginStep, 'txn_id'>): void {
    current = { ...step, txn_id: randomBytes(8).toString('hex') }
    version++
    wakeWaiters()
  }

  function wakeWaiters(): void {
    moved.resolve()
    moved = Promise.withResolvers()
  }

  function fail(error: ProvisioningError): void {
    if (ending.signal.aborted) return
    failure = error
    ending.abort()
    wakeWaiters()
  }

  async function complete(phone: string): Promise<{ loginId: string; name: string }> {
    if (linking || ending.signal.aborted)
      throw new ProvisioningError(410, 'M_NOT_FOUND', 'This login has ended')
    linking = true
    try {
      const login = await network.link(facts.platform, phone, userId)
      if (replaces !== null && replaces !== login.id) await network.unlink(facts.platform, replaces, 'user')
      moveTo({
        type: 'complete',
        step_id: `${stepPrefix}.complete`,
        instructions: `Successfully logged in as +${phone}`,
        complete: { user_login_id: login.id },
      })
      ending.abort()
      return { loginId: login.id, name: network.store.phone(phone).name }
    } finally {
      linking = false
    }
  }

  /**
   * Shows one code after the other. On a real network each is valid until the next; here until the
   * login ends: copying the address from an answer takes longer than a phone's camera.
   */
  async function showQrCodes(): Promise<void> {
    const shown: string[] = []
    while (shown.length < QR_CODES && !ending.signal.aborted) {
      const code = randomBytes(10).toString('hex').toUpperCase()
      shown.push(code)
      codes.add(code, pendingLink(null))
      moveTo({
        type: 'display_and_wait',
        step_id: `${stepPrefix}.qr`,
        instructions: `Scan the QR code with the ${facts.displayName} mobile app to log in`,
        display_and_wait: { type: 'qr', data: `${baseUrl()}/sandbox/link/${code}` },
      })
      await clock.sleep(QR_REFRESH_MS, ending.signal)
    }
    for (const code of shown) retire(code)
    timeOut()
  }

  async function showPairingCode(phone: string): Promise<void> {
    const letters = Array.from({ length: 8 }, () => 'ABCDEFGHJKLMNPQRSTVWXYZ123456789'.charAt(randomInt(32)))
    const code = `${letters.slice(0, 4).join('')}-${letters.slice(4).join('')}`
    codes.add(code, pendingLink(phone))
    moveTo({
      type: 'display_and_wait',
      step_id: `${stepPrefix}.code`,
      instructions: `Input the pairing code in the ${facts.displayName} mobile app to log in`,
      display_and_wait: { type: 'code', data: code },
    })
    await clock.sleep(QR_REFRESH_MS * QR_CODES, ending.signal)
    retire(code)
    timeOut()
  }

  function retire(code: string): void {
    codes.retire(code, current.type === 'complete' || linking ? 'used' : 'expired')
  }

  function pendingLink(phone: string | null) {
    return { platform: facts.platform, platformName: facts.displayName, phone, accept: complete }
  }

  function refused(code: string, message: string): ProvisioningError {
    return new ProvisioningError(400, `FI.MAU.${facts.networkId.toUpperCase()}.${code}`, message)
  }

  function timeOut(): void {
    if (!linking) fail(refused('LOGIN_TIMEOUT', 'Entering code or scanning QR timed out. Please try again.'))
  }

  function inBackground(work: Promise<void>): void {
    work.catch(error => {
      context.logger.error({ err: error }, 'a login failed')
      fail(new ProvisioningError(500, 'M_UNKNOWN', 'Internal error in login'))
    })
  }

  /** Asks for one input; `take` gets it, and says what is next. */
  function ask(
    step: string,
    instructions: string,
    field: InputField,
    take: (typed: string) => Promise<unknown>,
  ): void {
    takeInput = take
    const step_id = `${stepPrefix}.${step}`
    moveTo({ type: 'user_input', step_id, instructions, user_input: { fields: [field] } })
  }

  function askPhoneNumber(): void {
    const field = {
      type: 'phone_number',
      id: 'phone_number',
      name: 'Phone number',
      description: `Your ${facts.displayName} phone number in international format`,
    }
    ask('phone', '', field, async typed => {
      const phone = parsePhone(typed)
      if (phone === null || !existsOnNetwork(phone))
        throw refused('PHONE_NUMBER_INVALID', 'The phone number is not valid')
      if (facts.platform === 'telegram') await askSentCode(phone)
      else inBackground(showPairingCode(phone))
    })
  }

  async function askSentCode(phone: string): Promise<void> {
    const code = String(randomInt(10_000, 100_000))
    const chat = await network.directChat(facts.platform, SERVICE_PHONE.phone, phone)
    const text = `Login code: ${code}. Do not give this code to anyone.`
    await network.post({ chat, sender: SERVICE_PHONE.phone, content: { type: 'text', text } })
    const { twoFactor } = network.store.phone(phone)
    const field = {
      type: '2fa_code',
      id: 'code',
      name: 'Code',
      description: 'The code that Telegram sent to your other devices',
    }
    ask('code', 'Please enter the login code sent to your phone', field, async typed => {
      if (typed.trim() !== code) throw refused('INVALID_CODE', 'The code is not right')
      if (twoFactor === null) await complete(phone)
      else askPassword(phone, twoFactor)
    })
  }

  function askPassword(phone: string, password: string): void {
    const field = {
      type: 'password',
      id: 'password',
      name: 'Password',
      description: 'Your two-factor password',
    }
    ask('password', 'You have two-factor authentication enabled', field, async typed => {
      if (typed !== password) throw refused('INVALID_PASSWORD', 'The password is not right')
      await complete(phone)
    })
  }

  if (flowId === 'qr') inBackground(showQrCodes())
  else askPhoneNumber()

  /** Returns the current step, and remembers that. */
  function nextStep(): LoginStep {
    returned = version
    return current
  }

  return {
    id: randomBytes(10).toString('hex'),
    userId,
    nextStep,
    step: () => current,
    /** @returns the next step not yet returned @throws ProvisioningError when the login fails */
    async wait(signal: AbortSignal): Promise<LoginStep> {
      const left = new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
      while (version === returned && !ending.signal.aborted && !signal.aborted)
        await Promise.race([moved.promise, left])
      if (failure) throw failure
      // A caller that left gets nothing: the step is still to be returned.
      return signal.aborted ? current : nextStep()
    },
    async submit(input: Readonly<Record<string, string>>): Promise<LoginStep> {
      const [field] = current.user_input?.fields ?? []
      const typed = field ? input[field.id] : undefined
      if (typed === undefined)
        throw new ProvisioningError(400, 'M_BAD_JSON', `Missing value for ${field?.id ?? 'the input'}`)
      await takeInput(typed)
      return nextStep()
    },
    cancel: () => fail(new ProvisioningError(400, 'M_UNKNOWN', 'Login was cancelled')),
    ended: () => ending.signal.aborted,
  }
}

export type LoginDesk = ReturnType<typeof createLoginDesk>

/** Ended logins kept, so that waiting callers still learn the outcome. */
const KEPT_ENDED = 200

export function createLoginDesk(parts: LoginParts) {
  const { facts, faults } = parts.context
  const processes = new Map<string, LoginProcess>()

  function tidy(): void {
    const ended = [...processes.values()].filter(process => process.ended())
    for (const process of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED))) processes.delete(process.id)
  }

  return {
    /** @throws ProvisioningError when there is no such flow or the network is unreachable */
    start(userId: string, flowId: string, replaces: string | null): LoginProcess {
      if (faults.of(facts.platform).offline) {
        throw new ProvisioningError(500, 'M_UNKNOWN', 'Internal error starting login')
      }
      const process = startLogin(parts, userId, flowId, replaces)
      tidy()
      processes.set(process.id, process)
      return process
    },
    /** @throws ProvisioningError when the user has no such running login */
    find(userId: string, processId: string): LoginProcess {
      const process = processes.get(processId)
      if (process?.userId !== userId) throw new ProvisioningError(404, 'M_NOT_FOUND', 'Login not found')
      return process
    },
    cancel(process: LoginProcess): void {
      process.cancel()
      processes.delete(process.id)
    },
    stop(): void {
      for (const process of processes.values()) process.cancel()
    },
  }
}
