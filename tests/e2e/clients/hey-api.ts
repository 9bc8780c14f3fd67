/**
 * Sends a text, a file and more by the client that @hey-api/openapi-ts has made, reacts to the
 * text, and finds it again.
 */
import { client } from './generated/hey/client.gen.ts'
import { getAction, listChats, reactToMessage, searchMessages, sendMessage } from './generated/hey/sdk.gen.ts'
import { contact, device, fileName, platform, token, url } from './settings.ts'

client.setConfig({ baseUrl: url, auth: token, throwOnError: true })
const path = { device_id: device }

const text = await sendMessage({
  path,
  body: { platform, contact, text: 'a text by hey-api' },
  throwOnError: true,
})
const file = await sendMessage({
  path,
  body: {
    platform,
    contact,
    text: 'a file by hey-api',
    file_base64: btoa('hello'),
    file_name: fileName,
  },
  throwOnError: true,
})
const others = [
  { location: { latitude: 52.52, longitude: 13.405, name: 'by hey-api' } },
  { poll: { question: 'When, hey-api?', options: ['Monday', 'Tuesday'], max_selections: 1 } },
  { text: `@${contact} is mentioned by hey-api`, mentions: [contact], format: 'markdown' as const },
]
for (const fields of others)
  await sendMessage({ path, body: { platform, contact, ...fields }, throwOnError: true })

const [sent] = text.data.messages
if (!sent) throw new Error('nothing was sent')
const id = { id: sent.id }
const reaction = await reactToMessage({ path: id, body: { emoji: '👍' }, throwOnError: true })
const action = await getAction({ path: { id: reaction.data.id }, throwOnError: true })
if (action.data.message_id !== sent.id) throw new Error('the action is another message’s')
const chats = await listChats({ query: { device_id: device }, throwOnError: true })
const found = await searchMessages({ query: { query: 'text hey' }, throwOnError: true })
const isFound = found.data.data.some(({ chat_id }) => chats.data.data.some(chat => chat.id === chat_id))
if (!isFound) throw new Error('the text isn’t found in a chat')

const messages: string[] = [...text.data.messages, ...file.data.messages].map(({ id }) => id)
console.log(messages.join('\n'))
