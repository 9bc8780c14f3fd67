/** Client of the sandbox's interface. */

const BASE = '/sandbox/api'

/** @throws Error with the server's message when it refuses */
async function call(method, path, body) {
  const isForm = body instanceof FormData
  const response = await fetch(`${BASE}${path}`, {
    method,
    headers: body === undefined || isForm ? {} : { 'content-type': 'application/json' },
    body: body === undefined || isForm ? body : JSON.stringify(body),
  })
  const answer = await response.json().catch(() => null)
  if (!response.ok) throw new Error(answer?.error ?? `The server answered ${response.status}`)
  return answer
}

const phonePath = phone => `/phones/${encodeURIComponent(phone)}`

export const api = {
  phones: () => call('GET', '/phones'),
  savePhone: phone => call('POST', '/phones', phone),
  chats: phone => call('GET', `${phonePath(phone)}/chats`),
  messages(phone, { platform, id }, limit) {
    const query = new URLSearchParams({ platform, chat: id, limit: String(limit) })
    return call('GET', `${phonePath(phone)}/messages?${query}`)
  },
  send: (phone, message) => call('POST', `${phonePath(phone)}/messages`, message),
  changeChat: (phone, { platform, id }, change) =>
    call('PATCH', `${phonePath(phone)}/chats/${encodeURIComponent(id)}?platform=${platform}`, change),
  group: ({ platform, id }) => call('GET', `/groups/${encodeURIComponent(id)}?platform=${platform}`),
  changeGroup: ({ platform, id }, change) =>
    call('PATCH', `/groups/${encodeURIComponent(id)}?platform=${platform}`, change),
  groups: () => call('GET', '/groups'),
  createGroup: group => call('POST', '/groups', group),
  faults: () => call('GET', '/faults'),
  setFaults: faults => call('POST', '/faults', faults),
  clearFaults: () => call('DELETE', '/faults'),
}

/**
 * Calls `onChange({ phones, directory })` for each change, and `onState(boolean)` on connecting and
 * disconnecting. Returns a function that stops it.
 */
export function listen(onChange, onState) {
  const source = new EventSource(`${BASE}/events`)
  source.onmessage = event => onChange(JSON.parse(event.data))
  source.onopen = () => onState(true)
  source.onerror = () => onState(false)
  return () => source.close()
}
