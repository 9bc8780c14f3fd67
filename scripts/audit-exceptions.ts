/** Advisories that don't concern the program, by number, each with a sentence why. */
export const AUDIT_EXCEPTIONS: Readonly<Record<number, string>> = {}
