/** Decides which users, aliases and rooms belong to which appservice. */

export interface Namespace {
  regex: string
  exclusive: boolean
}

export interface Namespaces {
  users: Namespace[]
  aliases?: Namespace[]
  rooms?: Namespace[]
  /** Users the appservice may act as without owning them: it gets no events of their rooms. */
  puppets?: Namespace[]
}

type Kind = keyof Namespaces

/** One appservice's compiled namespaces. Bridges expect anchors at the start only (Synapse). */
export class CompiledNamespaces {
  private readonly compiled: Record<Kind, { pattern: RegExp; exclusive: boolean }[]>

  /** @param senderUserId the appservice's own user, one of its users */
  constructor({ users, aliases = [], rooms = [], puppets = [] }: Namespaces, senderUserId: string) {
    const compiled = (namespaces: Namespace[]) =>
      namespaces.map(({ regex, exclusive }) => ({ pattern: new RegExp(`^(?:${regex})`), exclusive }))
    const sender = { regex: `${RegExp.escape(senderUserId)}$`, exclusive: true }
    this.compiled = {
      users: compiled([sender, ...users]),
      aliases: compiled(aliases),
      rooms: compiled(rooms),
      puppets: compiled(puppets),
    }
  }

  has(kind: Kind, id: string): boolean {
    return this.compiled[kind].some(({ pattern }) => pattern.test(id))
  }

  /** True when no other appservice may have the id. */
  claims(kind: Kind, id: string): boolean {
    return this.compiled[kind].some(({ exclusive, pattern }) => exclusive && pattern.test(id))
  }

  /** True for a room named itself, or by one of its aliases. */
  hasRoom(roomId: string, aliases: () => string[]): boolean {
    return (
      this.has('rooms', roomId) ||
      (this.compiled.aliases.length > 0 && aliases().some(alias => this.has('aliases', alias)))
    )
  }
}
