/** Where this machine's Chromium is. Tests of pages are left out without it: `test.skipIf(!chromium)`. */

/** CHROMIUM_PATH wins over the usual names on the PATH. */
export const chromium: string | null =
  process.env.CHROMIUM_PATH ??
  Bun.which('chromium') ??
  Bun.which('chromium-browser') ??
  Bun.which('google-chrome') ??
  null
