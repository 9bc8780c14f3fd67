/**
 * Receives what a mautrix bridge reports by POST, authorised by its as_token. A login's state
 * (`homeserver.status_endpoint`) only prompts us to ask the bridge, so that a device's state has
 * one source. Checkpoints (`homeserver.message_send_checkpoint_endpoint`) name messages that the
 * bridge has passed on: it can send them even when it has left the room of its status events.
 */

import { z } from 'zod'
import type { Emits } from '../domain/signals.ts'
import { bearerToken } from '../lib/bearer-token.ts'
import { readTextAtMost } from '../lib/bounded-body.ts'
import { jsonOrNull } from '../lib/json-or-null.ts'
import { matrixRefusal } from '../lib/matrix-error.ts'
import { equalInConstantTime } from '../lib/sealing.ts'

export const STATUS_PATH = '/_meshgate/bridge-status'

/** A state with its login's profile takes a few hundred bytes. */
const MAX_BODY_BYTES = 64 * 1024

/** A Matrix id has at most 255 bytes. */
const MAX_ID_LENGTH = 255

const optionalText = z.string().nullish().catch(null)
/**
 * bridgev2's status.BridgeState. A state of the whole bridge has no user; before bridgev2 it has no
 * remote_id.
 */
const report = z.object({
  user_id: z.string().nullish(),
  remote_id: optionalText,
  state_event: optionalText,
  error: optionalText,
})

/** bridgev2's status.CheckpointsJSON. One step of a message is that the network has it. */
const checkpoints = z.object({
  checkpoints: z.array(
    z.object({ event_id: z.string().max(MAX_ID_LENGTH), step: z.string(), status: z.string() }),
  ),
})
const anyReport = z.union([checkpoints, report.extend({ checkpoints: z.undefined().optional() })])

export type StatusReceiver = ReturnType<typeof createStatusReceiver>

export function createStatusReceiver(options: {
  /** Token of the platform's bridge; undefined if none is attached. */
  asTokenOf(platform: string): string | undefined
  /** Emitted before the answer: listeners must not wait for the bridge. */
  signals: Emits<'bridge-state'>
  /** Keeps that a platform's bridge has passed events on; the bridge is answered after that. */
  passedOn(platform: string, eventIds: readonly string[]): Promise<void>
}) {
  const platformIn = (request: Request) => new URL(request.url).pathname.slice(STATUS_PATH.length + 1)

  /** True for the as_token of the bridge in the request's path. */
  function isRightToken(token: string, request: Request): boolean {
    const expected = options.asTokenOf(platformIn(request))
    // Always compares, so that an unknown platform takes as long as a wrong token.
    const isRight = equalInConstantTime(token, expected ?? '')
    return expected !== undefined && isRight
  }

  return {
    isRightToken,

    /** Serves POST /_meshgate/bridge-status/{platform}. */
    async fetch(request: Request): Promise<Response> {
      const given = bearerToken(request) ?? ''
      if (!isRightToken(given, request)) return matrixRefusal(401, 'M_UNKNOWN_TOKEN', 'expected the as_token')
      if (request.method !== 'POST') return matrixRefusal(405, 'M_UNRECOGNIZED', 'expected a POST')
      const text = await readTextAtMost(request, MAX_BODY_BYTES)
      if (text === null) return matrixRefusal(413, 'M_TOO_LARGE', `expected at most ${MAX_BODY_BYTES} bytes`)
      const { success, data } = anyReport.safeParse(jsonOrNull(text))
      if (!success) return matrixRefusal(400, 'M_BAD_JSON', 'expected the state of a login, or checkpoints')
      if (data.checkpoints) {
        const taken = takenByNetwork(data.checkpoints)
        if (taken.length > 0) await options.passedOn(platformIn(request), taken)
        return Response.json({})
      }
      const { user_id: userId, remote_id: loginId, state_event: stateEvent, error } = data
      options.signals.emit('bridge-state', platformIn(request), {
        matrixUserId: userId ?? null,
        loginId: loginId || null,
        stateEvent: stateEvent ?? null,
        errorCode: error ?? null,
      })
      return Response.json({})
    },
  }
}

/** @returns the ids of the events */
function takenByNetwork(steps: z.infer<typeof checkpoints>['checkpoints']): string[] {
  return steps
    .filter(({ step, status }) => step === 'REMOTE' && (status === 'SUCCESS' || status === 'DELIVERED'))
    .map(({ event_id: eventId }) => eventId)
}
