/** Every migration, oldest first, embedded in the binary. Append only: a released migration never changes. */
import gatewayDown from './0001_gateway.down.sql' with { type: 'text' }
import gatewayUp from './0001_gateway.up.sql' with { type: 'text' }

export interface Migration {
  /** Its number; migrations run in this order. */
  version: number
  name: string
  up: string
  down: string
}

export const migrations: readonly Migration[] = [
  { version: 1, name: 'gateway', up: gatewayUp, down: gatewayDown },
]
