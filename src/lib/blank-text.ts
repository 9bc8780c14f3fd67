/** Texts in which nothing is to be seen. */

const BLANK = /^[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u

/** True when there is no text, or only white space and characters that no screen shows. */
export function isBlank(text: string | null | undefined): boolean {
  return BLANK.test(text ?? '')
}
