/** HTML as a template, in which every value is escaped. */

/** Text that is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}

type Value = string | number | Html | readonly Html[] | null

/** Escapes values; HTML among them, a list of it, and null stay as they are, null as nothing. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.map((part, at) => part + shown(values[at] ?? null)).join(''))
}

function shown(value: Value): string {
  if (value === null) return ''
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(({ text }: Html) => text).join('')
  return Bun.escapeHTML(String(value))
}
