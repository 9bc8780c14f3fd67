/** How a request that uploads a file begins, for tests that write to the connection themselves. */

/** @param length in bytes that is announced: of what follows the empty line, with the part's head */
export function uploadHead(token: string, length: number): string {
  return [
    'POST /api/v1/devices/237123456789/message HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Content-Type: multipart/form-data; boundary=b',
    `Content-Length: ${length}`,
    '',
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n',
  ].join('\r\n')
}
