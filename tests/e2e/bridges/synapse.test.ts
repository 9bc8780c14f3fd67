/** The suite on Synapse, to which the gateway is an application service. */
import { setDefaultTimeout } from 'bun:test'
import { bridgeSuite } from './suite.ts'

setDefaultTimeout(120_000)

bridgeSuite('synapse')
