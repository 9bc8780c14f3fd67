/** The first bytes of files of many kinds: enough to recognise the kind. */

const ascii = (text: string) => [...new TextEncoder().encode(text)]
const zeros = (count: number) => Array.from({ length: count }, () => 0)
const box = (brand: string) => [0, 0, 0, 24, ...ascii(`ftyp${brand}`), 0, 0, 0, 0, ...ascii(`${brand}isom`)]
const ebml = (type: string) => [
  ...[0x1a, 0x45, 0xdf, 0xa3, 0x83 + type.length],
  ...[0x42, 0x82, 0x80 + type.length, ...ascii(type)],
  ...[0x18, 0x53, 0x80, 0x67, 0xff],
]
const riff = (type: string) => [...ascii('RIFF'), 36, 0, 0, 0, ...ascii(type), 16, 0, 0, 0, 1, 0, 1, 0]

export const FILES = {
  jpeg: bytes(0xff, 0xd8, 0xff, 0xe0, 0, 16, ...ascii('JFIF'), 0, 1, 1),
  png: bytes(
    0x89,
    ...ascii('PNG\r\n'),
    0x1a,
    0x0a,
    0,
    0,
    0,
    13,
    ...ascii('IHDR'),
    ...zeros(17),
    0,
    0,
    0,
    0,
    ...ascii('IDAT'),
  ),
  webp: bytes(...riff('WEBPVP8 ')),
  heic: bytes(...box('heic')),
  tiff: bytes(...ascii('II'), 42, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  wav: bytes(...riff('WAVEfmt ')),
  mp3: bytes(0xff, 0xfb, 0x90, ...zeros(13)),
  m4a: bytes(...box('M4A ')),
  flac: bytes(...ascii('fLaC'), 0, 0, 0, 34),
  opus: bytes(...ascii('OggS'), 0, 2, ...zeros(20), 1, 19, ...ascii('OpusHead'), 1, 1, ...zeros(9)),
  mp4: bytes(...box('isom')),
  mkv: bytes(...ebml('matroska')),
  webm: bytes(...ebml('webm')),
  pdf: bytes(...ascii('%PDF-1.7\n'), 0xe2, 0xe3),
  svg: bytes(...ascii('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')),
  zip: bytes(...ascii('PK'), 3, 4, 20, 0, 0, 0, 8, 0),
}

function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values)
}
