/** Replaces websocat on machines without it: prints each text frame of the address as a line. */
const url = process.argv.at(-1)
if (!url?.startsWith('ws')) throw new Error('expected the address of a WebSocket')

const socket = new WebSocket(url)
socket.addEventListener('message', ({ data }) => console.log(String(data)))
socket.addEventListener('error', () => process.exit(1))
socket.addEventListener('close', ({ code }) => process.exit(code === 1000 ? 0 : 1))
