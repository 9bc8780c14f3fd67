/** The suite on Synapse, with the gateway as an application service. */
import { setDefaultTimeout } from 'bun:test'
import { bridgeSuite } from './suite.ts'

setDefaultTimeout(120_000)

bridgeSuite('synapse')
