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

/** One appservice's compiled namespaces. Bridges expect anchors at the start only (Synapse). */
export class CompiledNamespaces {
  private readonly compiled: Record<keyof Namespaces, Compiled[]>

  constructor(
    { users, aliases = [], rooms = [], puppets = [] }: Namespaces,
    private readonly senderUserId: string,
  ) {
    const compiled = (namespaces: Namespace[]) =>
      namespaces.map(({ regex, exclusive }) => ({ pattern: new RegExp(`^(?:${regex})`), exclusive }))
    this.compiled = {
      users: compiled(users),
      aliases: compiled(aliases),
      rooms: compiled(rooms),
      puppets: compiled(puppets),
    }
  }

  private has(kind: keyof Namespaces, id: string): boolean {
    return this.compiled[kind].some(({ pattern }) => pattern.test(id))
  }

  private claims(kind: keyof Namespaces, id: string): boolean {
    return this.compiled[kind].some(({ exclusive, pattern }) => exclusive && pattern.test(id))
  }

  /** True for the appservice's own user and the users of its namespace. */
  hasUser(userId: string): boolean {
    return userId === this.senderUserId || this.has('users', userId)
  }

  /** True for users the appservice may act as. */
  speaksFor(userId: string): boolean {
    return this.hasUser(userId) || this.has('puppets', userId)
  }

  /** True when no other appservice may register the user. */
  claimsUser(userId: string): boolean {
    return userId === this.senderUserId || this.claims('users', userId)
  }

  hasAlias(alias: string): boolean {
    return this.has('aliases', alias)
  }

  claimsAlias(alias: string): boolean {
    return this.claims('aliases', alias)
  }

  hasRoom(roomId: string): boolean {
    return this.has('rooms', roomId)
  }
}

interface Compiled {
  pattern: RegExp
  exclusive: boolean
}
