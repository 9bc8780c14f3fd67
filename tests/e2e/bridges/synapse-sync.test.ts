/** The suite on Synapse that only gives accounts: events come by a /sync for each. */
import { setDefaultTimeout } from 'bun:test'
import { bridgeSuite } from './suite.ts'

setDefaultTimeout(120_000)

bridgeSuite('synapse-sync')
