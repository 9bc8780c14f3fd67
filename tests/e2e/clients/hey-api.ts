/** Sends a text and a file by the client that @hey-api/openapi-ts has made. */
import { client } from './generated/hey/client.gen.ts'
import { sendMessage } from './generated/hey/sdk.gen.ts'
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

const messages: string[] = [...text.data.messages, ...file.data.messages].map(({ id }) => id)
console.log(messages.join('\n'))
