/** The request for a link's WebSocket, and its frames, for tests that write raw bytes. */

export function upgradeHead(token: string): string {
  return [
    `GET /api/v1/devices/qr-code?token=${token} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n')
}

/** @returns a client's text frame, masked with zeros (RFC 6455 section 5.2); up to 125 bytes */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}
