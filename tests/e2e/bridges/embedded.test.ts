/** The suite on the gateway's own homeserver. */
import { setDefaultTimeout } from 'bun:test'
import { bridgeSuite } from './suite.ts'

setDefaultTimeout(120_000)

bridgeSuite('embedded')
