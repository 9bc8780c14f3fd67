/** Things done to messages that are there: each call is answered with an action and its status. */
import { Action } from '../../../domain/views/action.ts'
import { AcceptedMessage } from '../../../domain/views/message.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'
import { ChatPath } from '../chats/model.ts'
import { Nothing } from '../webhooks/delivery-model.ts'
import {
  ActedOnPath,
  ActionPath,
  EditMessage,
  ForwardMessage,
  MarkRead,
  PollVote,
  Reaction,
} from './model.ts'

const accepted = answer(202, 'Where the action stands', Action)

export function actionRoutes({ actions, forwarding }: Pick<HttpServices, 'actions' | 'forwarding'>) {
  return [
    bearerRoute('PUT', '/api/v1/messages/:id/reaction', {
      id: 'reactToMessage',
      tag: 'Messages',
      summary: 'React to a message',
      params: ActedOnPath,
      body: Reaction,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, body, recorder }) =>
        actions.react(
          { identityId, messageId: params.id },
          body.emoji,
          recorder(view => view),
        ),
    }),
    bearerRoute('DELETE', '/api/v1/messages/:id/reaction', {
      id: 'removeReaction',
      tag: 'Messages',
      summary: 'Take a reaction back',
      description: 'Your own, also one that was made at the phone. A 409 where there is none.',
      params: ActedOnPath,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, recorder }) =>
        actions.unreact(
          { identityId, messageId: params.id },
          recorder(view => view),
        ),
    }),
    bearerRoute('PATCH', '/api/v1/messages/:id', {
      id: 'editMessage',
      tag: 'Messages',
      summary: 'Edit a message',
      description:
        'Changes a text of your own, or the caption of a file. One that nobody has tried to send yet is changed in its place; otherwise an edit is sent behind it.',
      params: ActedOnPath,
      body: EditMessage,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, body, recorder }) =>
        actions.edit(
          { identityId, messageId: params.id },
          body.text,
          recorder(view => view),
        ),
    }),
    bearerRoute('PUT', '/api/v1/messages/:id/vote', {
      id: 'voteInPoll',
      tag: 'Messages',
      summary: 'Vote in a poll',
      params: ActedOnPath,
      body: PollVote,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, body, recorder }) =>
        actions.vote(
          { identityId, messageId: params.id },
          body.options,
          recorder(view => view),
        ),
    }),
    bearerRoute('POST', '/api/v1/chats/:chat_id/read', {
      id: 'markChatRead',
      tag: 'Chats',
      summary: 'Mark a chat as read',
      description:
        'The people who wrote see it, where the network shows it. An earlier call that still waits is cancelled.',
      params: ChatPath,
      body: MarkRead,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, body, recorder }) =>
        actions.read(
          { identityId, chatId: params.chat_id, upTo: body.up_to },
          recorder(view => view),
        ),
    }),
    bearerRoute('POST', '/api/v1/messages/:id/unsend', {
      id: 'unsendMessage',
      tag: 'Messages',
      summary: 'Unsend a message',
      description:
        'Takes a message of your own back from everybody who got it. One that is still queued is cancelled.',
      params: ActedOnPath,
      body: Nothing,
      answer: accepted,
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, recorder }) =>
        actions.unsend(
          { identityId, messageId: params.id },
          recorder(view => view),
        ),
    }),
    bearerRoute('POST', '/api/v1/messages/:id/forward', {
      id: 'forwardMessage',
      tag: 'Messages',
      summary: 'Forward a message',
      description:
        'Sends a text, a file with its caption, or a location once more, to one recipient, by the device of the message.',
      params: ActedOnPath,
      body: ForwardMessage,
      answer: answer(201, 'A message of its own', AcceptedMessage),
      records: true,
      errors: [404, 409, 422],
      run: ({ identityId, params, body, recorder }) => {
        const { contact, group_url: groupUrl, chat_id: chatId } = body
        const message = { identityId, messageId: params.id }
        return forwarding.forward(
          message,
          { contact, groupUrl, chatId },
          recorder(entry => entry),
        )
      },
    }),
    bearerRoute('GET', '/api/v1/actions/:id', {
      id: 'getAction',
      tag: 'Messages',
      summary: 'Get an action',
      params: ActionPath,
      answer: answer(200, 'Where it stands', Action),
      errors: [404],
      run: ({ identityId, params }) => actions.get(identityId, params.id),
    }),
  ]
}
