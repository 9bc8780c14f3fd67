/** Stands between a bridge and its homeserver, and announces other features than that does. */
import { freePort } from './program.ts'

export const ALL_FIELDS = 'com.beeper.arbitrary_profile_meta'

interface AnnouncingHomeserver extends AsyncDisposable {
  url: string
}

export type Features = Readonly<Record<string, boolean>>

/** @param homeserver its URL. @param features that it announces, or doesn't, unlike its own */
export function announcingHomeserver(homeserver: string, features: Features): AnnouncingHomeserver {
  async function answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url)
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
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

async function announced(answer: Response, features: Features): Promise<Response> {
  if (!answer.ok) return answer
  const versions = (await answer.json()) as { unstable_features: Record<string, boolean> }
  Object.assign(versions.unstable_features, features)
  return Response.json(versions)
}
