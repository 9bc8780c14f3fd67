/**
 * A client's actions in one chat: it sends texts and polls, and reacts to them, edits, unsends and
 * votes, and reads the chat. An action without an answer is asked for again with its key.
 */
import type { ActType } from '../../../src/domain/states.ts'
import type { Random } from '../random.ts'
import { call } from './calls.ts'
import type { OutgoingChat } from './outgoing.ts'

/** The message that is acted on. */
interface Target {
  id: string
  text: string
  isPoll: boolean
  isReacted: boolean
  acts: number
}

interface Asked {
  method: 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  body?: object
}

/** Every network takes them. */
const EMOJI = ['👍', '🎉', '❤️', '🔥', '🙏']
const OPTIONS = ['Monday', 'Tuesday', 'Wednesday']
const RETRY_MS = 200
const WITHOUT_POLLS = ['telegram']
const POLL_SHARE = 0.3
const READ_SHARE = 0.2
/** A network may allow few edits. */
const MOST_ACTS = 5

export class ActLoad {
  /** Ids of the actions that were accepted, by what they do. */
  readonly accepted: { id: string; type: ActType }[] = []
  /** Actions without an answer when the load ended. */
  unknown = 0
  /** Refusals of what is right. */
  readonly wrong: string[] = []
  private target: Target | null = null
  private chatId: string | null = null
  private keys = 0

  constructor(
    private readonly chat: OutgoingChat,
    private readonly random: Random,
  ) {}

  /** Does one thing, until it is answered or the signal aborts. */
  async actNext(signal: AbortSignal): Promise<void> {
    if (this.random.chance(READ_SHARE)) return this.read(signal)
    const { target } = this
    if (!target || target.acts >= MOST_ACTS) return this.sendTarget(signal)
    const type = this.typeFor(target)
    const body = await this.ask(this.askFor(target, type), signal)
    if (!body) {
      if (signal.aborted) this.unknown++
      this.target = null
      return
    }
    this.accepted.push({ id: String(body.id), type })
    target.acts++
    if (type === 'react') target.isReacted = true
    if (type === 'unreact') target.isReacted = false
    if (type === 'unsend') this.target = null
  }

  private typeFor({ isPoll, isReacted, acts }: Target): ActType {
    if (acts === MOST_ACTS - 1 && this.random.chance(0.5)) return 'unsend'
    const reactions: ActType[] = isReacted ? ['react', 'unreact'] : ['react']
    return this.random.pick<ActType>([...reactions, isPoll ? 'vote' : 'edit'])
  }

  private askFor({ id, text, acts }: Target, type: ActType): Asked {
    const path = `/messages/${id}`
    if (type === 'react') return { method: 'PUT', path: `${path}/reaction`, body: { emoji: EMOJI[acts] } }
    if (type === 'unreact') return { method: 'DELETE', path: `${path}/reaction` }
    if (type === 'edit') return { method: 'PATCH', path, body: { text: `${text} edit ${acts}` } }
    if (type === 'unsend') return { method: 'POST', path: `${path}/unsend` }
    return { method: 'PUT', path: `${path}/vote`, body: { options: [this.random.pick(OPTIONS)] } }
  }

  private async sendTarget(signal: AbortSignal): Promise<void> {
    const takesPolls = !WITHOUT_POLLS.includes(this.chat.fields.platform ?? '')
    const isPoll = this.random.chance(POLL_SHARE) && takesPolls
    const text = `${this.chat.key}@${this.keys}`
    const content = isPoll ? { poll: { question: text, options: OPTIONS } } : { text }
    const path = `/devices/${this.chat.device}/message`
    const answer = await this.ask({ method: 'POST', path, body: { ...this.chat.fields, ...content } }, signal)
    const [message] = (answer?.messages ?? []) as { id: string }[]
    this.target = message ? { id: message.id, text, isPoll, isReacted: false, acts: 0 } : null
  }

  private async read(signal: AbortSignal): Promise<void> {
    const { url, token } = this.chat
    if (this.chatId === null && this.target) {
      const answer = await call('GET', `${url}/api/v1/messages/${this.target.id}`, { token })
      this.chatId = (answer?.body.chat_id as string | null | undefined) ?? null
    }
    if (this.chatId === null) return
    const body = await this.ask({ method: 'POST', path: `/chats/${this.chatId}/read`, body: {} }, signal)
    if (body) this.accepted.push({ id: String(body.id), type: 'read' })
    else if (signal.aborted) this.unknown++
  }

  /** @returns the answer; null when it was refused, or there was none */
  private async ask(
    { method, path, body }: Asked,
    signal: AbortSignal,
  ): Promise<Record<string, unknown> | null> {
    const { url, token, key } = this.chat
    const headers = { 'idempotency-key': `${key}@${this.keys++}` }
    while (!signal.aborted) {
      const answer = await call(method, `${url}/api/v1${path}`, { token, headers, ...(body && { body }) })
      if (answer && answer.status < 300) return answer.body
      const isKeyInUse = answer?.status === 409 && String(answer.body.error).startsWith('Idempotency-Key')
      if (answer && !isKeyInUse && ![429, 503, 507].includes(answer.status)) {
        this.wrong.push(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
        return null
      }
      await Bun.sleep(RETRY_MS)
    }
    return null
  }
}
