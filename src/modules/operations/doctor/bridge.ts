/**
 * Checks of one bridge: it runs, it and the homeserver reach each other, it takes our secret, and
 * its devices are well.
 */
import type { BridgeProbe, WhoamiOutcome } from '../../../bridges/bridge-probe.ts'
import type { HomeserverProbe, PingOutcome } from '../../../matrix/homeserver-probe.ts'
import type { Listener } from '../../bridges-attached/repository.ts'
import { type Check, failure, type Outcome, ok, skipped, warning } from './doctor.ts'

export interface BridgeToCheck {
  platform: string
  url: string
  /** The provisioning API's; null where the bridge has none. */
  secret: string | null
  /** Made by `meshgate bridge add`; null for a bridge that only the settings know. */
  attached: { registrationId: string; asToken: string; registrationFile: string } | null
  /** How the bridge is started. */
  startCommand: string
  /**
   * Tells if the gateway runs its program, and is up itself; with the gateway's notes on the
   * program.
   */
  process: { isOurs: boolean; isGatewayUp: boolean; notes: string | null }
  /** Asks its program, where that is on this machine. */
  version(): Promise<string | null>
  isEmbedded: boolean
  /** One of our Matrix users, as which the bridge is asked. */
  userId: string
  probe: BridgeProbe
  /** Null when there is no homeserver to ask, as the gateway that holds it doesn't run. */
  homeserver: HomeserverProbe | null
  /** The listener that it came to last. */
  comesTo?(): Promise<Listener | null>
  /** An update of its program that failed, and what to do about it. */
  failedUpdate?: { problem: string; advice: string } | null
  /** How many devices are in each state. */
  deviceStates(): Promise<ReadonlyMap<string, number>>
  /**
   * The setting of its configuration that turns encryption on, if any, and the number of its
   * encrypted chats.
   */
  encryption?(): Promise<{ setting: string | null; chats: number }>
}

export function bridgeCheck(bridge: BridgeToCheck): Check {
  return {
    subject: `${bridge.platform} bridge`,
    async run() {
      const reached = await bridge.probe.reach()
      if ('error' in reached) return [unreachable(bridge, reached.error)]
      const summary = [bridge.process.notes, await bridge.version()].filter(each => each !== null).join('; ')
      const reachable = reached.isBridge
        ? ok(`runs at ${bridge.url}${summary === '' ? '' : ` (${summary})`}`)
        : warning(
            `what answers at ${bridge.url} doesn't look like a mautrix bridge`,
            `is that its address? (meshgate bridge add ${bridge.platform} --force --url …)`,
          )
      const old = mainPortOutcome(
        await bridge.comesTo?.(),
        'see that homeserver.address and homeserver.status_endpoint in its configuration lead to BRIDGE_PORT, and restart it',
      )
      const update = bridge.failedUpdate
        ? [warning(bridge.failedUpdate.problem, bridge.failedUpdate.advice)]
        : []
      const found = [
        reachable,
        ...update,
        await pinged(bridge),
        ...old,
        await authorised(bridge),
        await devices(bridge),
      ]
      return [...found, ...(await encrypted(bridge))]
    },
  }
}

/** @returns nothing for who comes where it should */
export function mainPortOutcome(comesTo: Listener | null | undefined, advice: string): Outcome[] {
  if (comesTo !== 'main') return []
  return [warning('comes to PORT, where this version serves it for the last time', advice)]
}

function unreachable({ platform, url, process, startCommand }: BridgeToCheck, error: string): Outcome {
  const summary = `doesn't answer at ${url} (${error})`
  if (!process.isOurs) return failure(summary, `start it: ${startCommand}`)
  return failure(
    process.notes === null ? summary : `${summary}; ${process.notes}`,
    process.isGatewayUp
      ? `the gateway runs it: meshgate bridge logs ${platform} says what is wrong`
      : 'the gateway runs it, and is down: start the gateway',
  )
}

async function pinged(bridge: BridgeToCheck): Promise<Outcome> {
  const { attached, homeserver, platform } = bridge
  if (!attached)
    return skipped('its registration is unknown here: whether the homeserver reaches it can’t be asked')
  if (!homeserver) return skipped('the homeserver is the gateway, which doesn’t run: it can’t be asked')
  return pingOutcome(await homeserver.ping(attached.registrationId, attached.asToken), {
    registrationFile: attached.registrationFile,
    isEmbedded: bridge.isEmbedded,
    subject: `the ${platform} bridge`,
  })
}

const ADDRESS = 'is the url of the registration right, and does no other program use that port?'

/** @param context.registrationFile null: `meshgate registration` prints it */
export function pingOutcome(
  ping: PingOutcome,
  context: { subject: string; registrationFile: string | null; isEmbedded: boolean },
): Outcome {
  const { subject, isEmbedded } = context
  const file = context.registrationFile ?? 'what `meshgate registration` prints'
  const register = isEmbedded
    ? 'is the running gateway that of this DATA_DIR? Restart it'
    : `add ${file} to app_service_config_files of the homeserver, and restart it`
  switch (ping.kind) {
    case 'reached':
      return ok(`the homeserver knows ${subject} and reaches it`)
    case 'unknown_token':
      return failure(`the homeserver doesn't know ${subject}`, register)
    case 'other_registration':
      return failure(`the homeserver knows ${subject} under another id`, register)
    case 'no_url':
      return failure(`the registration of ${subject} at the homeserver has no url`, register)
    case 'unreachable':
      return failure(
        `the homeserver can't reach ${subject} (${ping.detail})`,
        'the url of the registration must be one that the homeserver reaches: in containers a service name, not localhost',
      )
    case 'refused':
      return failure(
        `${subject} doesn't take the homeserver's token (${ping.detail})`,
        `both must have the same hs_token: ${register}; and restart ${subject}`,
      )
    case 'no_ping':
      if (context.registrationFile !== null)
        return warning(
          `${subject} has no ping: it can't be asked whether it takes the homeserver's token (${ping.detail})`,
          'bridges from before version 1.7 of the Matrix specification have none; for any other, is that its address?',
        )
      return failure(`what answers at the url of the registration isn't ${subject} (${ping.detail})`, ADDRESS)
    case 'strange':
      return failure(`what answers at the url of the registration isn't ${subject} (${ping.detail})`, ADDRESS)
    case 'unsupported':
      return skipped(`the homeserver can't be asked whether it reaches ${subject}`)
    case 'failed':
      return failure(`the homeserver couldn't be asked (${ping.detail})`, 'see what its log says')
  }
}

async function authorised({ platform, probe, secret, userId }: BridgeToCheck): Promise<Outcome> {
  // A bridge without the API doesn't look at the secret.
  const outcome = await probe.whoami(secret ?? '', userId)
  return authorisation(platform, outcome)
}

function authorisation(platform: string, outcome: WhoamiOutcome): Outcome {
  switch (outcome.kind) {
    case 'accepted':
      return ok(`takes our secret; ${outcome.network}, login by ${outcome.flows.join(', ') || 'nothing'}`)
    case 'no_api':
      return warning(
        'has no provisioning API: it is driven by commands to its bot',
        `if it should have one, set provisioning.shared_secret in its configuration (meshgate bridge add ${platform} --force does)`,
      )
    case 'refused':
      return failure(
        `doesn't take our provisioning secret (${outcome.detail})`,
        `was it started with the configuration that meshgate bridge add wrote? Restart it with that; or set BRIDGE_${platform.toUpperCase()}_SECRET to its provisioning.shared_secret`,
      )
    case 'failed':
      return failure(
        `answers its provisioning API wrongly (${outcome.detail})`,
        'its log says why; is it the version that you want?',
      )
  }
}

async function encrypted({ platform, encryption }: BridgeToCheck): Promise<Outcome[]> {
  const { setting, chats } = (await encryption?.()) ?? { setting: null, chats: 0 }
  if (setting !== null)
    return [
      failure(
        `its configuration turns end-to-end encryption on (${setting}): what arrives in such chats can't be read`,
        `set ${setting} to false, and restart it`,
      ),
    ]
  if (chats === 0) return []
  return [
    warning(
      `${chats} of its chats are end-to-end encrypted: nothing that is said there can be read, or sent`,
      `a room stays encrypted: let the bridge make it anew (its bot's command delete-portal); the event message.undecryptable tells of each message (${platform})`,
    ),
  ]
}

async function devices({ platform, deviceStates }: BridgeToCheck): Promise<Outcome> {
  const states = await deviceStates()
  const count = [...states.values()].reduce((sum, each) => sum + each, 0)
  if (count === 0) return ok('no device is linked yet')
  const summary = [...states].map(([state, each]) => `${each} ${state}`).join(', ')
  const lost = (states.get('logged_out') ?? 0) + (states.get('error') ?? 0)
  if (lost === 0) return ok(`devices: ${summary}`)
  return warning(
    `devices: ${summary}`,
    `link the lost ones again: GET /api/v1/devices says why (${platform})`,
  )
}
