/** Figure 5: memory to send a large file, until it is on the phone. */
import { jsonClient } from '../../support/json-client.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type Bench, type Figure, Malfunction, MIB, mib, type Row } from '../figure.ts'
import { createQuietPhones, type LinkedGateway, startLinkedGateway } from '../gateway.ts'
import { median } from '../statistics.ts'
import { settledResidentBytes, watchPeak } from '../usage.ts'

const FILE_BYTES = 30 * MIB
const MOST_ABOVE_IDLE_BYTES = 2 * FILE_BYTES

interface OnPhone {
  file: { name: string; size: number; url: string } | null
}

export const fileMemory: Figure = { number: 5, title: 'a large file', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  const peaks: number[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    const { idle, peak } = await measure(program, quick)
    tell(`idle ${mib(idle)}, at most ${mib(peak)}`)
    peaks.push(peak - idle)
  }
  const above = median(peaks)
  return [
    {
      figure: '5 a 30 MiB file sent, peak memory above idle',
      measured: `${mib(above)} (${(above / FILE_BYTES).toFixed(2)} x its size)`,
      limit: '< 2 x its size',
      met: above < MOST_ABOVE_IDLE_BYTES,
    },
  ]
}

/** Uses a new process, as a process seldom gives memory back. */
async function measure(program: Bench['program'], quick: boolean): Promise<{ idle: number; peak: number }> {
  await using gateway = await startLinkedGateway(program, { SEND_INTERVAL_MS: '0' })
  const [phone = ''] = await createQuietPhones(gateway, 1)
  // A small file first creates the chat and loads the code.
  await send(gateway, phone, new Uint8Array(1024), 'small.bin')
  const content = crypto.getRandomValues(new Uint8Array(64 * 1024))
  const bytes = new Uint8Array(FILE_BYTES)
  for (let at = 0; at < bytes.length; at += content.length) bytes.set(content, at)
  const idle = await settledResidentBytes(gateway.pid, quick ? 1_000 : 5_000)
  const stopWatching = watchPeak(gateway.pid)
  const url = await send(gateway, phone, bytes, 'large.bin')
  const peak = stopWatching()
  await assertSame(gateway, url, bytes)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')
  return { idle, peak }
}

/** Resolves when the phone has the file. @returns the URL of the phone's copy */
async function send(
  gateway: LinkedGateway,
  phone: string,
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
): Promise<string> {
  const form = new FormData()
  form.set('platform', 'wa')
  form.set('contact', phone)
  form.set('file', new File([bytes], name))
  const { status, body } = await gateway.api.post(gateway.sendPath, form)
  if (status !== 200) throw new Malfunction(`the file was refused: ${status} ${JSON.stringify(body)}`)
  const onPhone = await waitFor(
    async () => {
      const { body: messages } = await jsonClient(gateway.url).get<OnPhone[]>(
        `/sandbox/api/phones/${phone}/messages`,
      )
      return messages.find(message => message.file?.name === name && message.file.size === bytes.length)
    },
    { what: `${name} on the phone`, deadlineMs: 30_000 },
  )
  return onPhone.file?.url ?? ''
}

async function assertSame({ url }: LinkedGateway, path: string, sent: Uint8Array): Promise<void> {
  const received = await (await fetch(url + path)).bytes()
  if (!Buffer.from(received.buffer).equals(sent))
    throw new Malfunction('the file is another one on the phone')
}
