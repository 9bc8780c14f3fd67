/**
 * Describes what is POSTed to webhooks: each event with a schema of its own, as `x-webhooks`, which
 * OpenAPI 3.1 has as `webhooks`.
 */
import type { TSchema } from '@sinclair/typebox'
import { STORED_EVENT_NAMES, type StoredEventName } from '../../domain/states.ts'
import { EventPayload, WebhookTestEvent } from '../../domain/views/event.ts'
import { NAME } from '../../domain/views/schema.ts'

const MEANS: Record<StoredEventName, string> = {
  'message.received': 'A message came in',
  'message.reaction': 'Somebody reacted to a message, or took that back',
  'message.edited': 'Somebody changed a message',
  'message.deleted': 'Somebody took a message back',
  'message.undecryptable': 'Something was said in an end-to-end encrypted chat, which cannot be read',
  'message.own': 'The owner of a device said something at the phone, or elsewhere',
  'call.received': 'Somebody called',
  'status.posted': 'A contact posted, changed or deleted a status',
  'channel.posted': 'A channel has a post, or changed or deleted one',
  'poll.vote': 'Somebody voted in a poll, changed the vote or took it back',
  'poll.ended': 'A poll was closed',
  'message.status': 'A message that you sent has another status',
  'action.status': 'An action of yours has another status',
  'chat.read': 'The account has read a chat at the phone, or elsewhere',
  'chat.updated': 'A chat is called or shown otherwise',
  'chat.backfilled': 'Older messages of a chat were fetched',
  'member.joined': 'Somebody came to a group',
  'member.left': 'Somebody is no longer in a group',
  'device.connected': 'A device was linked, or is back',
  'device.disconnected': 'A device has no connection, or an error',
  'device.logged_out': 'A device was logged out or deleted',
  'device.restricted': 'The network forbids a device to start new chats, or has lifted that',
  'link.updated': 'The link of a device came to another state',
  'webhook.disabled': 'Another webhook was switched off by the gateway',
  'webhook.test': 'You try the webhook out',
}
/** Fields that other events with the same schema lack. */
const ALSO_REQUIRED: Partial<Record<StoredEventName, string[]>> = {
  'message.reaction': ['removed'],
  'call.received': ['call'],
  'poll.vote': ['vote'],
}

/** @returns the requests by the name of their event, with the schemas in them */
export function eventRequests(): Record<string, object> {
  return Object.fromEntries(STORED_EVENT_NAMES.map(name => [name, { post: requestOf(name) }]))
}

function requestOf(name: StoredEventName): object {
  return {
    operationId: `on${pascalCase(name)}`,
    summary: MEANS[name],
    // The signature is in headers, as Standard Webhooks has them.
    security: [],
    requestBody: { required: true, content: { 'application/json': { schema: schemaOf(name) } } },
    responses: { '2XX': { description: 'You have the event; any other answer has it delivered again' } },
  }
}

function schemaOf(name: StoredEventName): object {
  const [model, names] = modelOf(name)
  if (names.length === 1) return model
  const required = ALSO_REQUIRED[name]
  return {
    [NAME]: `${pascalCase(name)}Event`,
    allOf: [
      model,
      {
        type: 'object',
        properties: { event: { type: 'string', enum: [name] } },
        ...(required && { required }),
      },
    ],
  }
}

/** @returns the schema that has the event, and the names of all events that share it */
function modelOf(name: StoredEventName): [TSchema, string[]] {
  for (const model of [...EventPayload.anyOf, WebhookTestEvent]) {
    const names = namesIn(model.properties.event)
    if (names.includes(name)) return [model, names]
  }
  throw new Error(`no schema has the event ${name}`)
}

function namesIn({ anyOf, const: only }: TSchema): string[] {
  return anyOf ? anyOf.map((option: TSchema) => option.const) : [only]
}

function pascalCase(name: string): string {
  return name.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
