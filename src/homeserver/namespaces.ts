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
  private readonly users: Compiled[]
  private readonly aliases: Compiled[]
  private readonly rooms: Compiled[]
  private readonly puppets: Compiled[]

  constructor(
    namespaces: Namespaces,
    private readonly senderUserId: string,
  ) {
    this.users = namespaces.users.map(compile)
    this.aliases = (namespaces.aliases ?? []).map(compile)
    this.rooms = (namespaces.rooms ?? []).map(compile)
    this.puppets = (namespaces.puppets ?? []).map(compile)
  }

  /** True for the appservice's own user and the users of its namespace. */
  hasUser(userId: string): boolean {
    return userId === this.senderUserId || matches(this.users, userId)
  }

  /** True for users the appservice may act as. */
  speaksFor(userId: string): boolean {
    return this.hasUser(userId) || matches(this.puppets, userId)
  }

  /** True when no other appservice may register the user. */
  claimsUser(userId: string): boolean {
    return (
      userId === this.senderUserId || this.users.some(entry => entry.exclusive && entry.pattern.test(userId))
    )
  }

  hasAlias(alias: string): boolean {
    return matches(this.aliases, alias)
  }

  claimsAlias(alias: string): boolean {
    return this.aliases.some(entry => entry.exclusive && entry.pattern.test(alias))
  }

  hasRoom(roomId: string): boolean {
    return matches(this.rooms, roomId)
  }
}

interface Compiled {
  pattern: RegExp
  exclusive: boolean
}

function compile({ regex, exclusive }: Namespace): Compiled {
  return { pattern: new RegExp(`^(?:${regex})`), exclusive }
}

function matches(namespaces: Compiled[], id: string): boolean {
  return namespaces.some(({ pattern }) => pattern.test(id))
}
