/** Phone numbers as people paste them: any spelling comes down to its digits. */
import { describe, expect, test } from 'bun:test'
import {
  contactKey,
  normaliseContact,
  numberUriProblem,
  phoneDigits,
  trimmed,
} from '../../../src/lib/phone-numbers.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'

const DIGITS = '237612345678'

describe('one number however it is written', () => {
  test.each([
    '237612345678',
    '+237612345678',
    '+237 6 12 34 56 78',
    '00237612345678',
    '00 237 612345678',
    '+00 237 612345678',
    '(+237) 612-345-678',
    '(00237) 612 345 678',
    '237 612.345.678',
    '237/612345678',
    '[237] 612 345 678',
    "'+237612345678",
    '"237612345678"',
    '+237 (0) 612 345 678',
    '237(0)612345678',
    '(+237) (0) 612 345 678',
    '(00237)(0)612345678',
    '+237 [0] 612345678',
    // Spreadsheets write columns of numbers like this.
    '237612345678.0',
    '+237612345678.0',
    '00237 ( 0 ) 612345678',
    'tel:+237612345678',
    'TEL:+237-612-345-678',
    'tel://237612345678',
    'tel:%2B237612345678',
    ...['', '\u200e ', 'https://', 'http://www.', 'HTTPS://'].flatMap(start => [
      `${start}wa.me/237612345678`,
      `${start}WA.me/+237612345678/?text=Hello%20there`,
      `${start}wa.me/%2B237%20612-345-678#x`,
    ]),
    'https://api.whatsapp.com/send?phone=237612345678&text=Hi',
    'https://api.whatsapp.com/send/?text=Hi+there&type=phone_number&phone=%2B237612345678&app_absent=0',
    'api.whatsapp.com/send?phone=+237+612+345+678',
    'https://web.whatsapp.com/send?phone=237612345678',
    'whatsapp://send?text=1&phone=+237612345678',
    `https://wa.me/237612345678?text=${'x'.repeat(1_000)}`,
    'https://signal.me/#p/+237612345678',
    'signal.me/#p/%2B237612345678',
    'sgnl://signal.me/#p/+237612345678',
    'https://t.me/+237612345678',
    't.me/%2B237612345678?text=Hi',
    'tg://resolve?phone=237612345678',
    'sms:+237612345678',
    'sms://+237612345678',
    'SMS:+237-612-345-678?body=Hello',
    'sms:237612345678;body=Hello',
    'sms:237612345678&body=Hello',
    'SMSTO:+237612345678:Hello',
    'whatsapp:+237612345678',
    // Lines of vCards.
    'TEL;TYPE=CELL:+237 612 345 678',
    'TEL;VALUE=uri;TYPE="voice,home":tel:+237-612-345-678',
    'item1.TEL;waid=237612345678:+237 612 345 678',
    '237612345678@c.us',
    '237612345678@s.whatsapp.net',
    '+237612345678@S.WhatsApp.net',
    '237612345678:17@s.whatsapp.net',
    // Invisible characters of chat programs, spreadsheets and web pages.
    '\u202a+237 612 345 678\u202c',
    '\u2066+237612345678\u2069',
    '\u200e237\u200b612\u200c345\u200d678\ufeff',
    '237\u00ad612\u2060345678',
    '+237\u00a0612\u202f345\u2009678\u3000',
    '+237\t612345678\n',
    // Dashes.
    ...['\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2015', '\u2212', '\u2043', '\u2e3a'].map(
      dash => `+237${dash}612${dash}345${dash}678`,
    ),
    ...['\ufe58', '\ufe63', '\uff0d', '\u30fc', '\u301c', '\u05be', '\u02d7', '\u2500'].map(
      dash => `237${dash}612345678`,
    ),
    // Other scripts' digits and signs.
    '＋２３７　６１２－３４５－６７８',
    '＋２３７（０）６１２３４５６７８',
    '٢٣٧٦١٢٣٤٥٦٧٨',
    '+۲۳۷ ۶۱۲ ۳۴۵ ۶۷۸',
    '२३७६१२३४५६७८',
    '২৩৭৬১২৩৪৫৬৭৮',
    '𝟚𝟛𝟟𝟞𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠',
    '𝟸𝟹𝟽𝟼𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾',
    [...DIGITS].map(digit => `${digit}\ufe0f\u20e3`).join(''),
  ])('%j', written => {
    expect(phoneDigits(written)).toBe(DIGITS)
    expect(contactKey(written)).toBe(DIGITS)
  })
})

test.each([
  ['00237612345678', '+237612345678'],
  ['237 612', '237612'],
  ['(+237) 612', '+237612'],
  ['tel:+237612', '+237612'],
  ['tel:237612', '237612'],
  ['https://wa.me/237612?text=1', '+237612'],
  ['https://wa.me/00237612345678', '+237612345678'],
  [' Ada \u200e', 'Ada'],
])('a bridge is asked for %j as %s', (written, asked) => expect(normaliseContact(written)).toBe(asked))

test.each(['0987654321', '12345', '00123', '0012345', '999123456', '123456789012345', '000123456789'])(
  '%s keeps all of its digits',
  number => expect(phoneDigits(number)).toBe(number),
)

test('a zero in brackets is left out after the code of a country alone, and never of Italy’s numbers', () => {
  expect(phoneDigits('+39 (0)6 1234 5678')).toBe('390612345678')
  expect(phoneDigits('(0) 612 345 678')).toBe('0612345678')
})

test.each([
  '',
  '+',
  '-',
  'Ada',
  'ada.237612345678',
  '237612345678x',
  '237+612345678',
  '237612345678@g.us',
  '185031603552434@lid',
  'lid-185031603552434',
  '237612345678@example.com',
  '237612345678_1',
  '@whatsapp_237612345678:localhost',
  '4f7c0d52-8a3e-4f6d-9b1a-1c2d3e4f5a6b',
  '237612345678,237612345679',
  'https://wa.me/message/ABC123',
  'https://wa.me/qr/237612345678',
  'https://chat.whatsapp.com/237612345678',
  'https://t.me/237612345678',
  'https://signal.me/#eu/237612345678',
  'https://example.com/237612345678',
  'tel:+237-612-345-678;ext=5',
  'sms:Ada',
])('%j is no number and stays as it is', text => {
  expect(phoneDigits(text)).toBeNull()
  expect(normaliseContact(text)).toBe(text)
})

test.each([
  ['white space', `x${' '.repeat(300_000)}x`],
  ['what nobody sees', `x${'\u200b'.repeat(300_000)}x`],
  ['digits', `0${'1'.repeat(300_000)}`],
  ['brackets', `+${'1('.repeat(150_000)}`],
  ['a link', `https://api.whatsapp.com/send?${'&phon='.repeat(50_000)}`],
  ['half a link', `whatsapp://send?${'phone=&'.repeat(290)}`],
  ['parameters', `tel:1${';a'.repeat(150_000)}`],
])('a text of nothing but %s takes no longer than another', async (_what, text) => {
  const work = () => [
    trimmed(text),
    normaliseContact(text),
    contactKey(text),
    phoneDigits(text),
    numberUriProblem(text),
  ]
  await expectShortTurns(work, { rounds: 8 })
})

test('the ends of a text are trimmed without taking it apart', async () => {
  const text = ` x${' '.repeat(1_000_000)}x `
  await expectShortTurns(() => Array.from({ length: 20 }, () => trimmed(text)))
})

test.each([
  ['tel:+237-612-345-678;ext=5', 'ext: expected a number alone'],
  ['\u200eTEL:+237612345678;EXT=5', 'EXT: expected'],
  ['tel:612345678;phone-context=+237', 'phone-context: expected'],
  ['tel:+237612345678;isub=1;ext=5', 'isub: expected'],
  ['sms:Ada', 'expected a phone number'],
  ['whatsapp:', 'expected a phone number'],
])('%s is a number that nobody can be written to by: %s', (uri, says) => {
  expect(numberUriProblem(uri)).toStartWith(says)
})

test.each(['tel:+237612345678', 'Ada', 'tell:me', 'mailto:a@b', '@whatsapp_1:s', 'did:plc:abc', '1@lid'])(
  'nothing is wrong with %s',
  text => expect(numberUriProblem(text)).toBeNull(),
)

test.each([
  ['', ''],
  [' \u200b', ''],
  ['\u200b Ada\u2800', 'Ada'],
  ['\u{e0001}Ada\u{e0001}', 'Ada'],
  ['\u200b\u{1f600}\u200b', '\u{1f600}'],
])('what nobody sees around %j is left out', (text, seen) => {
  expect(trimmed(text)).toBe(seen)
})
