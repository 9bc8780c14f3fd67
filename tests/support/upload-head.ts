/** The beginning of a request that uploads a file, for tests that write raw bytes. */

/** @param length announced, in bytes after the empty line, including the part's head */
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
