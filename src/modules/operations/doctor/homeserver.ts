/** Checks of the homeserver: it is there, it knows us, and users can be made on it. */
import { GatewayError } from '../../../domain/errors.ts'
import type { HomeserverProbe } from '../../../matrix/homeserver-probe.ts'
import type { Listener } from '../../bridges-attached/repository.ts'
import { mainPortOutcome, pingOutcome } from './bridge.ts'
import { type Check, failure, type Outcome, ok, skipped } from './doctor.ts'

export interface HomeserverToCheck {
  /** Where it is asked. */
  url: string
  serverName: string
  isEmbedded: boolean
  /** True when a gateway runs on this DATA_DIR, which has the embedded one. */
  isRunning: boolean
  /** An embedded one that the gateway alone reaches, as no bridge is attached. */
  isUnserved?: boolean
  probe: HomeserverProbe
}

/** Older versions lack what the gateway and the bridges need. */
const MIN_VERSION = 4

export function homeserverCheck(homeserver: HomeserverToCheck): Check {
  const { url, isEmbedded, isRunning, isUnserved, probe } = homeserver
  return {
    subject: 'homeserver',
    async run() {
      if (isEmbedded && !isRunning)
        return skipped('it is part of the gateway, which doesn’t run: meshgate serve')
      if (isUnserved) return ok('embedded; while no bridge is attached it is the gateway’s alone')
      const versions = await probe.versions()
      if ('error' in versions) {
        return failure(
          `doesn't answer at ${url} (${versions.error})`,
          isEmbedded
            ? 'the gateway runs, and isn’t well: see its log. Is something else at BRIDGE_PORT?'
            : 'start it, or set MATRIX_HOMESERVER_URL to where it is',
        )
      }
      const summary = `${isEmbedded ? 'embedded' : ((await probe.software()) ?? 'a homeserver')} at ${url}, Matrix ${versions.newest}`
      const minor = Number(/^v1\.(\d+)/.exec(versions.newest)?.[1] ?? 0)
      return minor >= MIN_VERSION
        ? ok(summary)
        : failure(`${summary} is too old`, `use one with Matrix v1.${MIN_VERSION} or newer`)
    },
  }
}

/** Our own application service at an external homeserver. */
export function appserviceCheck(
  { probe, serverName }: HomeserverToCheck,
  {
    appserviceId,
    asToken,
    isRunning,
    comesTo,
  }: {
    appserviceId: string
    asToken: string
    isRunning: boolean
    /** The listener that it came to last. */
    comesTo?(): Promise<Listener | null>
  },
): Check {
  return {
    subject: 'application service',
    async run() {
      const us = await probe.whoami(asToken)
      if ('error' in us) return skipped('the homeserver doesn’t answer')
      if ('refusal' in us) {
        return failure(
          `the homeserver doesn't take MATRIX_AS_TOKEN (${us.refusal})`,
          'add what `meshgate registration` prints to app_service_config_files of the homeserver, and restart it',
        )
      }
      const actual = us.userId.replace(/^@[^:]*:/, '')
      if (actual !== serverName) {
        return failure(
          `the homeserver's name is ${actual}, not ${serverName}`,
          `set MATRIX_SERVER_NAME=${actual} (a database keeps the name of its first start)`,
        )
      }
      const known = ok(`the homeserver takes MATRIX_AS_TOKEN as ${us.userId}`)
      if (!isRunning) return [known, skipped('whether it reaches the gateway shows only while that runs')]
      const ping = await probe.ping(appserviceId, asToken)
      const reached = pingOutcome(ping, { subject: 'the gateway', registrationFile: null, isEmbedded: false })
      const old = mainPortOutcome(
        await comesTo?.(),
        'have url in our registration at the homeserver lead to BRIDGE_PORT, and restart that',
      )
      return [known, reached, ...old]
    },
  }
}

/** An account of our namespace that each check makes again, so that none leaves another behind. */
export const TRIAL_LOCALPART = 'mgdoctor0000'

/**
 * @param tryIt makes the trial account, or finds it made, and leaves nothing else behind; null: the
 * embedded homeserver makes whatever the gateway asks for
 * @param way in which accounts are made, for people
 */
export function accountsCheck(tryIt: (() => Promise<string>) | null, way: string): Check {
  return {
    subject: 'user creation',
    async run(): Promise<Outcome> {
      if (!tryIt) return ok('the embedded homeserver makes them itself')
      try {
        return ok(`works by ${way} (${await tryIt()})`)
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        return failure(
          `by ${way}: ${error.message}`,
          'is the homeserver up, and do the settings under "Matrix" in .env agree with its own? docs/operations.md says what each way needs',
        )
      }
    },
  }
}
