/** @see Matrix v1.12, POST /_matrix/client/v1/appservice/{appserviceId}/ping */
import { z } from 'zod'
import { type Appservice, askAppservice, isReachable } from '../appservices/appservices.ts'
import { type Call, param, readBody } from '../call.ts'
import type { Core } from '../core.ts'
import { forbidden, MatrixError } from '../errors.ts'
import type { JsonObject } from '../json.ts'

const PING_TIMEOUT_MS = 30_000

const body = z.object({ transaction_id: z.string().optional() })

/** The homeserver calls the appservice back; success resumes pushing at once. */
export async function ping(call: Call): Promise<JsonObject> {
  const { appservice, core } = call
  const { transaction_id: transactionId } = await readBody(call, body)
  if (!appservice || appservice.id !== param(call, 'appserviceId'))
    throw forbidden('Only the application service itself may ask for its ping')
  const durationMs = await callBack(core, appservice, transactionId)
  core.pushers.get(appservice.num)?.resume()
  return { duration_ms: durationMs }
}

async function callBack(
  core: Core,
  { delivery }: Appservice,
  transactionId: string | undefined,
): Promise<number> {
  if (!isReachable(delivery))
    throw new MatrixError(400, 'M_URL_NOT_SET', 'The application service has no URL')
  const signal = AbortSignal.any([core.stopping.signal, AbortSignal.timeout(PING_TIMEOUT_MS)])
  const content: JsonObject = transactionId === undefined ? {} : { transaction_id: transactionId }
  const started = performance.now()
  let response: Response
  let body: string
  try {
    response = await askAppservice(delivery, 'POST', '/_matrix/app/v1/ping', content, signal)
    body = await beginningOf(response)
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError')
      throw new MatrixError(504, 'M_CONNECTION_TIMEOUT', 'The application service did not answer in time')
    throw new MatrixError(
      502,
      'M_CONNECTION_FAILED',
      `The application service can't be reached: ${String(error)}`,
    )
  }
  if (!response.ok)
    throw new MatrixError(502, 'M_BAD_STATUS', `The application service answered ${response.status}`, {
      status: response.status,
      body,
    })
  return Math.round(performance.now() - started)
}

const SHOWN_CHARACTERS = 1_000

/** Reads only the beginning of an answer. */
async function beginningOf(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length >= SHOWN_CHARACTERS) break
  }
  return text.slice(0, SHOWN_CHARACTERS)
}
