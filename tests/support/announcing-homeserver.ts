/**
 * Stands between a bridge and its homeserver, and offers what only some homeservers do: fields of
 * profiles, in one request or one by one, and storing history.
 */
import { freePort } from './program.ts'

type Json = Record<string, unknown>

export const ALL_FIELDS = 'com.beeper.arbitrary_profile_meta'
export const SINGLE_FIELDS = 'uk.tcpip.msc4133.stable'
export const BATCH_SENDING = 'com.beeper.batch_sending'
const PROFILE = /^\/_matrix\/client\/v3\/profile\/([^/]+)(?:\/(com\.beeper\.[^/]+))?$/
const BATCH_SEND = /\/com\.beeper\.backfill\/rooms\/([^/]+)\/batch_send$/

export interface Batch {
  room: string
  forward: boolean
  forward_if_no_messages: boolean
  send_notification: boolean
  mark_read_by?: string
  events: { event_id?: string; type: string; sender: string; origin_server_ts: number; content: Json }[]
}

export interface AnnouncingHomeserver extends AsyncDisposable {
  url: string
  /** Fields of users' profiles, as the bridge set them. */
  profiles: Map<string, Json>
  /** Batches of history, as the bridge stored them. */
  batches: Batch[]
}

/** @param homeserver its URL. @param features that it announces beside its own */
export function announcingHomeserver(homeserver: string, features: readonly string[]): AnnouncingHomeserver {
  const profiles = new Map<string, Json>()
  const batches: Batch[] = []

  async function answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const profile = PROFILE.exec(pathname)
    if (profile && request.method === (profile[2] === undefined ? 'PATCH' : 'PUT')) {
      const user = decodeURIComponent(profile[1] ?? '')
      // A single field comes as an object of that field.
      profiles.set(user, { ...profiles.get(user), ...((await request.json()) as Json) })
      return Response.json({})
    }
    const room = BATCH_SEND.exec(pathname)?.[1]
    if (room !== undefined) {
      const batch = { ...((await request.json()) as Omit<Batch, 'room'>), room: decodeURIComponent(room) }
      batches.push(batch)
      return Response.json({ event_ids: batch.events.map(({ event_id }, index) => event_id ?? `$${index}`) })
    }
    const { method, headers, signal } = request
    const body = method === 'GET' || method === 'HEAD' ? null : await request.arrayBuffer()
    const answered = await fetch(homeserver + pathname + search, { method, headers, body, signal }).catch(
      () => Response.json({ errcode: 'M_UNKNOWN', error: "the homeserver doesn't answer" }, { status: 502 }),
    )
    return pathname === '/_matrix/client/versions' ? announced(answered, features) : answered
  }

  const server = Bun.serve({ port: freePort(), hostname: '127.0.0.1', idleTimeout: 120, fetch: answer })
  return {
    url: `http://127.0.0.1:${server.port}`,
    profiles,
    batches,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

async function announced(answer: Response, features: readonly string[]): Promise<Response> {
  if (!answer.ok) return answer
  const versions = (await answer.json()) as { unstable_features: Record<string, boolean> }
  for (const feature of features) versions.unstable_features[feature] = true
  return Response.json(versions)
}
