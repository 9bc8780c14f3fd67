/**
 * Elysia's adapter for Bun, which finds the path of any URL. Elysia looks for the first slash from
 * the 12th character on, so `http://api/health` had no path; its option `standardHostname: false`
 * looks from the 8th, which in `https://…` is a slash of the scheme.
 */
import { BunAdapter } from 'elysia/adapter/bun'

const { composeGeneralHandler } = BunAdapter

/** As it stands in the source that Elysia compiles. */
const ASSUMED = "u.indexOf('/',11)"
/** The same as `pathStart`. */
const PATH_START = "u[0]==='/'?0:u.indexOf('/',u.indexOf('//')+2)"

export const anyHostAdapter: typeof BunAdapter = {
  ...BunAdapter,
  composeGeneralHandler: {
    ...composeGeneralHandler,
    createContext(app) {
      const source = composeGeneralHandler.createContext(app)
      if (!source.includes(ASSUMED)) throw new Error('this version of Elysia finds the path in another way')
      return source.replace(ASSUMED, PATH_START)
    },
  },
}
