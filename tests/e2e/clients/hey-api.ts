/** Sends a text and a file by the client that @hey-api/openapi-ts has made. */
import { formDataBodySerializer } from './generated/hey/client/index.ts'
import { client } from './generated/hey/client.gen.ts'
import { sendMessage } from './generated/hey/sdk.gen.ts'
import type { SendMessageResponses } from './generated/hey/types.gen.ts'
import { contact, device, fileName, platform, token, url } from './settings.ts'

client.setConfig({ baseUrl: url, auth: token, throwOnError: true })
const path = { device_id: device }

const text = await sendMessage({
  path,
  body: { platform, contact, text: 'a text by hey-api' },
  throwOnError: true,
})
// The generated function takes JSON alone, the first of the call's two bodies.
const file = await client.post<SendMessageResponses, unknown, true>({
  ...formDataBodySerializer,
  url: '/api/v1/devices/{device_id}/message',
  path,
  security: [{ scheme: 'bearer', type: 'http' }],
  headers: { 'Content-Type': null },
  body: {
    platform,
    contact,
    text: 'a file by hey-api',
    file: new File(['hello'], fileName, { type: 'text/plain' }),
  },
  throwOnError: true,
})

const messages: string[] = [...text.data.messages, ...file.data.messages].map(({ id }) => id)
console.log(messages.join('\n'))
