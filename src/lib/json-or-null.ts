/** @returns null when the text isn't JSON, which a schema then refuses like any wrong value */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
