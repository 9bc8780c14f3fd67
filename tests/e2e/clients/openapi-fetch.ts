/** Sends a text and a file by openapi-fetch, with the types that openapi-typescript has made. */
import createClient from 'openapi-fetch'
import type { paths } from './generated/schema.ts'
import { contact, device, fileName, platform, token, url } from './settings.ts'

const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } })
const params = { path: { device_id: device } }

const text = await client.POST('/api/v1/devices/{device_id}/message', {
  params,
  body: { platform, contact, text: 'a text by openapi-fetch' },
})
if (text.error) throw new Error(text.error.error)

const form = new FormData()
form.set('platform', platform)
form.set('contact', contact)
form.set('text', 'a file by openapi-fetch')
form.set('file', new File(['hello'], fileName, { type: 'text/plain' }))
const file = await client.POST('/api/v1/devices/{device_id}/message', {
  params,
  body: { platform },
  bodySerializer: () => form,
})
if (file.error) throw new Error(file.error.error)

const messages: string[] = [...text.data.messages, ...file.data.messages].map(({ id }) => id)
console.log(messages.join('\n'))
