/**
 * A regular expression for exactly this text, escaped as Go's QuoteMeta does: homeservers and
 * bridges read it, whose dialects don't know all escapes of `RegExp.escape`.
 */
export function quoteMeta(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`)
}
