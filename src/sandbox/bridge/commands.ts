/** Commands to the bridge's bot in a management room. */
import type { Chat, Login } from '../network/types.ts'
import { type BridgeContext, directId } from './context.ts'
import type { Directory } from './directory.ts'
import { fromMatrix, type MatrixEvent } from './from-matrix.ts'
import type { LoginDesk } from './logins.ts'
import { type LoginProcess, type LoginStep, ProvisioningError } from './logins.ts'
import type { ManagementRooms } from './management-rooms.ts'
import type { Portals } from './portals.ts'

export type Commands = ReturnType<typeof createCommands>

interface Order {
  event: MatrixEvent
  userId: string
  args: string[]
  reply(text: string): Promise<unknown>
}

/** The parts of a bridge that people use, by commands and by the provisioning API. */
export interface BridgeServices {
  context: BridgeContext
  desk: LoginDesk
  directory: Directory
  portals: Portals
  rooms: ManagementRooms
}

interface Command {
  help: string
  needsLogin?: true
  run(order: Order, login: Login | undefined): Promise<unknown>
}

export function createCommands({ context, desk, directory, portals, rooms }: BridgeServices) {
  const { facts, faults, homeserver, logger, network } = context
  /** Login that waits for the user's next message. */
  const typing = new Map<string, LoginProcess>()

  const commands: Record<string, Command> = {
    help: { help: 'Show this list', run: order => order.reply(helpText()) },
    login: {
      help: `Log in to ${facts.displayName}: login [${facts.flows.map(flow => flow.id).join('|')}]`,
      run: login,
    },
    'list-logins': { help: 'List your logins', run: listLogins },
    logout: { help: 'Log out: logout <login id>', run: logout },
    join: { help: 'Join a group by its invite link: join <link>', needsLogin: true, run: join },
    'resolve-link': {
      help: 'Say where an invite link leads: resolve-link <link>',
      needsLogin: true,
      run: resolveLink,
    },
    'start-chat': { help: 'Start a chat: start-chat <phone number>', needsLogin: true, run: startChat },
    cancel: { help: 'Stop the login that is under way', run: cancel },
  }

  function helpText(): string {
    const lines = Object.entries(commands).map(([name, { help }]) => `* **${name}** - ${help}`)
    return [`${facts.displayName} bridge (sandbox). Commands:`, ...lines].join('\n')
  }

  async function login({ userId, args, reply, event }: Order): Promise<unknown> {
    const process = desk.start(userId, args[0] ?? 'qr', null)
    const step = process.nextStep()
    if (step.type === 'user_input') {
      typing.set(userId, process)
      return reply(
        `${step.instructions}\nPlease enter your ${step.user_input?.fields[0]?.name ?? step.step_id}`.trim(),
      )
    }
    inBackground(showLogin(process, event))
  }

  /** Shows login codes as an image with the code as body; edits it on refresh, later redacts it. */
  async function showLogin(
    process: LoginProcess,
    { room_id: roomId, event_id }: MatrixEvent,
  ): Promise<unknown> {
    const abort = new AbortController()
    let shown: string | null = null
    let step = process.step()
    for (let turn = 0; step.type === 'display_and_wait'; turn++) {
      const event = { roomId, type: 'm.room.message', txnId: `${event_id}-code-${turn}` }
      const sent = await homeserver.send({ ...event, content: codeContent(step, shown) })
      shown ??= sent
      try {
        step = await process.wait(abort.signal)
      } catch (error) {
        await homeserver.redact(roomId, shown, `${event_id}-hide`)
        const reason = error instanceof Error ? error.message : String(error)
        return homeserver.notice(roomId, `${event_id}-end`, `Login failed: ${reason}`)
      }
    }
    if (shown !== null) await homeserver.redact(roomId, shown, `${event_id}-hide`)
    return homeserver.notice(roomId, `${event_id}-end`, step.instructions)
  }

  function codeContent(step: LoginStep, shown: string | null): Record<string, unknown> {
    const data = step.display_and_wait?.data ?? ''
    const content =
      step.display_and_wait?.type === 'qr'
        ? { msgtype: 'm.image', body: data, filename: 'qr.png' }
        : { msgtype: 'm.notice', body: data }
    if (shown === null) return content
    return {
      ...content,
      'm.new_content': content,
      'm.relates_to': { rel_type: 'm.replace', event_id: shown },
    }
  }

  async function submit(process: LoginProcess, { event, userId, reply }: Order): Promise<void> {
    const field = process.step().user_input?.fields[0]
    if (!field) return
    const step = await process.submit({ [field.id]: String(event.content.body ?? '') })
    if (step.type !== 'user_input') typing.delete(userId)
    if (step.type === 'display_and_wait') inBackground(showLogin(process, event))
    else await reply(step.instructions)
  }

  function listLogins({ userId, reply }: Order): Promise<unknown> {
    const logins = network.store.loginsOfUser(facts.platform, userId)
    if (logins.length === 0) return reply("You're not logged in")
    const state = faults.of(facts.platform).offline ? 'TRANSIENT_DISCONNECT' : 'CONNECTED'
    return reply(logins.map(({ id, phone }) => `* \`${id}\` (+${phone}) - \`${state}\``).join('\n'))
  }

  async function logout({ userId, args, reply }: Order): Promise<unknown> {
    const [loginId] = args
    if (loginId === undefined) return reply('Usage: `logout <login id>`')
    const login = network.store.login(facts.platform, loginId)
    if (login?.userId !== userId) return reply(`Login \`${loginId}\` not found`)
    await network.unlink(facts.platform, loginId, 'user')
    await reply('Logged out')
  }

  async function join({ args, reply }: Order, login: Login | undefined): Promise<void> {
    const chat = await groupOf(args, 'join', reply)
    if (!chat || !login) return
    const joined = await network.joinGroup(chat, login.phone)
    await reply(
      `Successfully joined group \`${chat.group?.groupId}\`, the portal should be created momentarily`,
    )
    // Now rather than later: repeated after a crash, the command finishes its work.
    await portals.ensure(login, joined)
  }

  async function resolveLink({ args, reply }: Order): Promise<void> {
    const chat = await groupOf(args, 'resolve-link', reply)
    if (chat) await reply(`That invite link points at ${chat.group?.name} (\`${chat.group?.groupId}\`)`)
  }

  /** @returns the group of the command's link; replies with the problem if there is none */
  async function groupOf(args: string[], command: string, reply: Order['reply']): Promise<Chat | null> {
    const [link] = args
    if (link === undefined) {
      await reply(`**Usage:** \`${command} <invite link>\``)
      return null
    }
    const found = directory.groupByLink(link)
    if (found === 'not_a_link') {
      await reply(`That doesn't look like a ${facts.displayName} invite link`)
      return null
    }
    if (found !== 'unknown') return found
    const failed = command === 'join' ? 'Failed to join group' : 'Failed to get group info'
    await reply(`${failed}: that group invite link is not valid`)
    return null
  }

  async function startChat({ args, reply }: Order, login: Login | undefined): Promise<unknown> {
    const phone = directory.resolve(args.at(-1) ?? '')
    if (phone === null) return reply('Identifier not found')
    if (!login) return
    const chosen = network.store.login(facts.platform, args[0] ?? '')
    const from = args.length > 1 && chosen?.userId === login.userId ? chosen : login
    const portal = await portals.ensure(from, await directory.directChat(from, phone))
    const { name } = await directory.describe(from, phone)
    await reply(
      `Created chat with ${name} (\`${directId(context, phone)}\`): https://matrix.to/#/${portal.roomId}`,
    )
  }

  async function cancel({ userId, reply }: Order): Promise<unknown> {
    const process = typing.get(userId)
    if (!process) return reply('No ongoing command')
    typing.delete(userId)
    desk.cancel(process)
    await reply('Login cancelled.')
  }

  function inBackground(work: Promise<unknown>): void {
    work.catch(error => logger.warn({ err: error }, 'a login could not be shown in its room'))
  }

  return {
    /** Joins the room the bot was invited to and makes it the user's management room. */
    async greet(roomId: string, userId: string): Promise<void> {
      await homeserver.join(roomId)
      if (rooms.of(userId) !== undefined) return
      await rooms.set(userId, roomId)
      await homeserver.notice(
        roomId,
        `greet-${roomId}`,
        `Hello, I'm a ${facts.displayName} bridge bot. Say \`help\` for a list of commands.`,
      )
    },

    /** Runs the command in a message. Repeated after a crash, it answers with the same events. */
    async obey(event: MatrixEvent): Promise<void> {
      const incoming = fromMatrix(event)
      if ('unsupported' in incoming || incoming.type !== 'text') return
      const text = incoming.text.replace(new RegExp(`^${facts.commandPrefix}\\s+`), '').trim()
      let replies = 0
      const order: Order = {
        event,
        userId: event.sender,
        args: text.split(/\s+/).slice(1),
        reply: body => homeserver.notice(event.room_id, `${event.event_id}-${replies++}`, body),
      }
      try {
        await carryOut(text, order)
      } catch (error) {
        if (!(error instanceof ProvisioningError)) throw error
        await order.reply(`Login failed: ${error.message}`)
      }
    },
  }

  async function carryOut(text: string, order: Order): Promise<unknown> {
    const [name = ''] = text.split(/\s+/)
    const command = commands[name.toLowerCase()]
    const process = typing.get(order.userId)
    if (process && name !== 'cancel') return submit(process, order)
    if (!command) return order.reply('Unknown command, use the `help` command for help.')
    // Like real bridges, takes the first login by id: a command can't name another.
    const [login] = network.store
      .loginsOfUser(facts.platform, order.userId)
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
    if (command.needsLogin && !login) return order.reply("You're not logged in")
    await command.run(order, login)
  }
}
