/**
 * JavaScript for the console of the page whose passkey is asked for. Its answer, as JSON, goes to
 * the clipboard. A console knows `copy` only until the first wait, so it is named before that.
 * @param publicKey of the question, in the JSON form of WebAuthn
 */
export function passkeyScript(publicKey: Readonly<Record<string, unknown>>): string {
  const question = JSON.stringify(publicKey)
  return `copy(JSON.stringify(await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(${question}) })))`
}
