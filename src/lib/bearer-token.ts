/**
 * Reads the token of an `Authorization: Bearer …` header (RFC 6750, section 2.1). The scheme is
 * taken without regard to case (RFC 9110, section 11.1).
 * @returns undefined when the header is missing or says something else
 */
export function bearerToken({ headers }: Pick<Request, 'headers'>): string | undefined {
  return /^bearer +(.+)$/i.exec(headers.get('authorization') ?? '')?.[1]
}
