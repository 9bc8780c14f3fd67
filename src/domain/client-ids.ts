/** The ids of credentials. */

/**
 * Not `.` or `..` alone: in a path they mean another place, so such a credential could be neither
 * changed nor deleted.
 */
export const CLIENT_ID = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/

export const CLIENT_ID_PHRASE = '1 to 64 letters, digits, dots, dashes or underscores (not just . or ..)'
