/** Path of this machine's Chromium; tests of pages skip without it: `test.skipIf(!chromium)`. */

/** CHROMIUM_PATH wins over the usual names on the PATH. */
export const chromium: string | null =
  process.env.CHROMIUM_PATH ??
  Bun.which('chromium') ??
  Bun.which('chromium-browser') ??
  Bun.which('google-chrome') ??
  null
