/**
 * Stands between a bridge and its homeserver: announces other features than the homeserver does,
 * and stores history where it can't.
 */
import { freePort } from './program.ts'

type Json = Record<string, unknown>

export const ALL_FIELDS = 'com.beeper.arbitrary_profile_meta'
export const BATCH_SENDING = 'com.beeper.batch_sending'
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
  /** Batches of history, as the bridge stored them. */
  batches: Batch[]
}

export type Features = Readonly<Record<string, boolean>>

/** @param homeserver its URL. @param features that it announces, or doesn't, unlike its own */
export function announcingHomeserver(homeserver: string, features: Features): AnnouncingHomeserver {
  const batches: Batch[] = []

  async function answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url)
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
    batches,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

async function announced(answer: Response, features: Features): Promise<Response> {
  if (!answer.ok) return answer
  const versions = (await answer.json()) as { unstable_features: Record<string, boolean> }
  Object.assign(versions.unstable_features, features)
  return Response.json(versions)
}
