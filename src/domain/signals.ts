/** What parts of the process tell each other through the bus (`lib/signals.ts`): each is a hint to look at the database now. */

/**
 * - `deliveries`: an event was stored that a webhook asks for.
 * - `accepted`: a message waits to be sent.
 * - `invited`: a chat waits to be joined.
 */
export type SignalName = 'deliveries' | 'accepted' | 'invited'
