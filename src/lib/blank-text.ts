/** Texts that show nothing. */

const BLANK = /^[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u

/** True for no text, or only white space and invisible characters. */
export function isBlank(text: string | null | undefined): boolean {
  return BLANK.test(text ?? '')
}
