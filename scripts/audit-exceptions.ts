/** Advisories that don't concern the program, by their number, each with the reason in a sentence. */
export const AUDIT_EXCEPTIONS: Readonly<Record<number, string>> = {}
