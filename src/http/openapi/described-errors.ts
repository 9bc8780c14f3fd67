/** Describes errors in the document: their body, each code, and the answers of each status. */
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { model, NAME, nullable, oneOf } from '../../domain/views/schema.ts'
import { type AnsweredCode, type ErrorStatus, STATUS_OF } from '../error-answers.ts'

interface CodeText {
  means: string
  /** A sentence that comes with it. */
  example: string
  /** Fields that it alone has. */
  details?: Record<string, string | number | null>
}

const CODES: Record<AnsweredCode, CodeText> = {
  bad_request: {
    means: 'A field is missing or wrong; `error` names it',
    example: 'Missing required field: platform',
  },
  unauthorized: {
    means: 'Authentication is missing or malformed, or the secret is wrong',
    example: 'Authorization is missing: send "Authorization: Bearer mt_…"',
  },
  forbidden: {
    means: 'The token is unknown or expired, or the credential or device may not do this',
    example: 'This token is unknown',
  },
  not_found: { means: 'There is no such thing', example: 'There is no device 237123456789' },
  method_not_allowed: {
    means: 'The path has other methods; see Allow',
    example: 'PATCH is not allowed here, use DELETE, GET, HEAD, POST',
  },
  conflict: {
    means:
      'It exists already, it is in a state that does not allow this, or what came of the first request with this Idempotency-Key isn’t known yet',
    example: 'the message is sent: only one that is queued can be cancelled',
  },
  gone: {
    means: 'It is no longer kept; `error` says how to go on',
    example: 'after: what came next is no longer kept; go on from the oldest, or with `now`',
    details: { oldest: '3q2-7wAAAAAAAAAAAAAAAQ' },
  },
  payload_too_large: {
    means: 'The body or the file is too large',
    example: 'The body is larger than 1048576 bytes',
  },
  quota_exceeded: {
    means: 'The files of the identity take all the space they may',
    example: 'file: does not fit, as the files of this identity take 1000000 of 1048576 bytes',
    details: { used: 1_000_000, limit: 1_048_576 },
  },
  unsupported_media_type: {
    means: 'The Content-Type is not supported',
    example:
      'Content-Type: expected application/json, it is missing; send the header "Content-Type: application/json" with JSON',
  },
  misdirected_request: {
    means: 'In development: the gateway has another host name',
    example: 'Host: "gateway.example" isn\'t a name of this gateway',
  },
  unprocessable: {
    means: 'The Idempotency-Key stands for another request, or the call does not fit what it is for',
    example:
      'Idempotency-Key: stands for another request already; expected the same method, path and body, or a new key',
  },
  unsupported_by_chat: {
    means: 'No chat of the send takes it; `feature` and `limit` say why',
    example: 'Telegram takes texts of at most 4096 characters here, not 5000',
    details: { feature: 'max_text_length', limit: 4_096 },
  },
  upgrade_required: {
    means: 'The request is no WebSocket handshake',
    example: 'This address is a WebSocket: connect with a WebSocket client',
  },
  too_many_requests: {
    means: 'Too many requests; see Retry-After',
    example: 'This token or credential has too many requests under way. Nothing of this one was done',
  },
  internal_error: {
    means: 'Something unexpected; the log has it under `request_id`',
    example: 'Internal error: the log has it under this request_id',
  },
  not_supported: {
    means: 'The network or its bridge cannot do this',
    example: 'the signal bridge has no provisioning API to list contacts with',
  },
  bridge_error: {
    means: 'The bridge refused, with its reason',
    example: 'the wa bridge refused: too many attempts',
  },
  homeserver_error: {
    means: 'The homeserver refused, with its reason',
    example: "the homeserver's answer to create a room isn't what it should be",
  },
  bridge_unavailable: {
    means: 'The bridge cannot be reached',
    example: "the wa bridge can't be reached (connection refused)",
  },
  homeserver_unavailable: {
    means: 'The homeserver cannot be reached',
    example: "the homeserver can't be reached to create a room (connection refused)",
  },
  storage_unavailable: {
    means: 'The database cannot be written for now',
    example: "this can't be stored now, SQLITE_BUSY",
  },
  shutting_down: { means: 'The gateway is stopping', example: 'The gateway is stopping' },
  bridge_timeout: {
    means: 'The bridge did not answer in time',
    example: "the wa bridge didn't answer within 15 s",
  },
  storage_full: { means: 'The disk is full', example: 'there is no space left to store this' },
}

const codes = Object.keys(CODES) as AnsweredCode[]
const REQUEST_ID = '2f1c8a54-6a0b-4a3e-9d55-0c7be1f7a9d2'

function bodyOf(code: AnsweredCode) {
  const { example, details } = CODES[code]
  return { ...details, error: example, code, request_id: REQUEST_ID }
}

const ErrorCode = oneOf(codes, {
  [NAME]: 'ErrorCode',
  description: `For programs; it does not change.\n\n${codes
    .map(code => `* \`${code}\` (${STATUS_OF[code]}): ${CODES[code].means}.`)
    .join('\n')}`,
})

const ErrorBody = model(
  'ErrorBody',
  {
    error: t.String({ description: 'One sentence for a person. It names the field that is wrong.' }),
    code: ErrorCode,
    request_id: t.String({ description: 'Also in the X-Request-Id header and in the log.' }),
    oldest: t.Optional(t.String({ description: 'Only with `gone`: the oldest event that is kept.' })),
    used: t.Optional(Type.Integer({ description: 'Only with `quota_exceeded`: bytes.' })),
    state: t.Optional(
      t.String({ description: 'Only with `conflict`, of a link that shows no QR code: its state.' }),
    ),
    feature: t.Optional(
      t.String({ description: 'Only with `unsupported_by_chat`: as com.beeper.room_features names it.' }),
    ),
    limit: t.Optional(
      nullable(
        Type.Number({
          description:
            'With `quota_exceeded`: bytes. With `unsupported_by_chat`: characters, bytes, seconds or pixels; null when it is not taken at all.',
        }),
      ),
    ),
  },
  { examples: [bodyOf('bad_request')] },
)

/** The answers of all errors, by the names that `errorReference` gives them. */
export function errorResponses(): Record<string, object> {
  const byStatus = Map.groupBy(codes, code => STATUS_OF[code])
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      errorName(status),
      {
        description: ofStatus.map(code => CODES[code].means).join('. '),
        content: {
          'application/json': {
            schema: ErrorBody,
            examples: Object.fromEntries(ofStatus.map(code => [code, { value: bodyOf(code) }])),
          },
        },
      },
    ]),
  )
}

/** Refers to the answers of all errors with a status. */
export function errorReference(status: ErrorStatus): { $ref: string } {
  return { $ref: `#/components/responses/${errorName(status)}` }
}

function errorName(status: ErrorStatus): string {
  return `Error${status}`
}
