/** Reads drawn QR codes back into squares, and draws the squares expected for a text. */
import { PNG } from 'pngjs'
import QRCode from 'qrcode'

/** A line for each row: # is dark. */
export type QrMatrix = string[]

export function matrixOf(text: string): QrMatrix {
  const { data, size } = QRCode.create(text).modules
  return rows(size, (x, y) => data[y * size + x] === 1)
}

/** @param quietZone light squares around the code */
export function matrixOfPng(bytes: Uint8Array, quietZone = 4): QrMatrix {
  const { data, width } = PNG.sync.read(Buffer.from(bytes))
  const isDark = (x: number, y: number) => (data[(y * width + x) * 4] ?? 255) < 128
  let first = 0
  while (!isDark(first, first)) first++
  const scale = first / quietZone
  const size = width / scale - 2 * quietZone
  const middleOf = (square: number) => Math.floor((square + quietZone + 0.5) * scale)
  return rows(size, (x, y) => isDark(middleOf(x), middleOf(y)))
}

/** Reads a path of horizontal lines, each as high as a square. */
export function matrixOfSvg(svg: string, quietZone = 4): QrMatrix {
  const size = Number(/viewBox="0 0 (\d+) /.exec(svg)?.[1]) - 2 * quietZone
  const path = /<path stroke="#000000" d="([^"]+)"/.exec(svg)?.[1] ?? ''
  const dark = new Set<string>()
  let x = 0
  let y = 0
  for (const [, command, first, second] of path.matchAll(/([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?/g)) {
    const length = Number(first)
    if (command === 'M') [x, y] = [length, Math.floor(Number(second))]
    else if (command === 'm') x += length
    else for (let end = x + length; x < end; x++) dark.add(`${x - quietZone} ${y - quietZone}`)
  }
  return rows(size, (column, row) => dark.has(`${column} ${row}`))
}

/** Reads half blocks, dark on light, with a margin of one light square. */
export function matrixOfTerminal(text: string): QrMatrix {
  const lines = Bun.stripANSI(text).split('\n')
  const size = (lines[0]?.length ?? 0) - 2
  return rows(size, (x, y) => {
    const block = lines[Math.floor((y + 1) / 2)]?.[x + 1]
    return block === '█' || block === ((y + 1) % 2 === 0 ? '▀' : '▄')
  })
}

function rows(size: number, isDark: (x: number, y: number) => boolean): QrMatrix {
  const indices = Array.from({ length: size }, (_, index) => index)
  return indices.map(y => indices.map(x => (isDark(x, y) ? '#' : '.')).join(''))
}
