/** Addresses that a webhook may connect to: rules, and names that resolve to others later. */
import { describe, expect, test } from 'bun:test'
import {
  createEndpointGuard,
  type EndpointGuardOptions,
  type EndpointRules,
} from '../../../src/outbound/endpoint-guard.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const PUBLIC = '93.184.216.34'

function guardWith(names: Record<string, string[][]>, rules: Partial<EndpointGuardOptions> = {}) {
  const clock = new ManualClock()
  const asked: string[] = []
  const guard = createEndpointGuard({
    allowPrivate: false,
    allowHttp: true,
    remedy: 'WEBHOOK_ALLOW_PRIVATE allows those',
    ...rules,
    clock,
    resolve: async hostname => {
      asked.push(hostname)
      const answers = names[hostname] ?? []
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (!answer) throw new Error(`ENOTFOUND ${hostname}`)
      return answer
    },
  })
  return { guard, clock, asked }
}

describe('what may be a webhook', () => {
  test.each([
    ['http://127.0.0.1/hook', 'loopback'],
    ['http://2130706433/hook', 'loopback'],
    ['http://[::1]:8080/', 'loopback'],
    ['http://[::ffff:10.0.0.1]/', 'private'],
    ['http://169.254.169.254/latest/meta-data/', 'link local'],
    ['http://inside.example/', 'private'],
    ['http://mixed.example/', 'private'],
  ])('%s is refused as %s, without telling where a name leads', async (url, special) => {
    const { guard } = guardWith({
      'inside.example': [['10.1.2.3']],
      'mixed.example': [[PUBLIC, '10.1.2.3']],
    })
    const objection = await guard.objectionTo(url)
    expect(objection).toContain(`one that is ${special} `)
    expect(objection).not.toContain('10.1.2.3')
    await expect(guard.addressesOf(url)).rejects.toThrow(objection ?? '')
  })

  test('a public name is taken, and so is one that cannot be resolved yet', async () => {
    const { guard } = guardWith({ 'outside.example': [[PUBLIC]] })
    expect(await guard.objectionTo('https://outside.example/hook')).toBeNull()
    expect(await guard.objectionTo('https://not-yet.example/hook')).toBeNull()
    await expect(guard.addressesOf('https://not-yet.example/hook')).rejects.toThrow("can't be resolved")
  })

  test('without allowHttp only https is taken, wherever it leads', async () => {
    const { guard } = guardWith({}, { allowPrivate: true, allowHttp: false })
    expect(await guard.objectionTo('http://outside.example/')).toBe('expected an https:// URL')
    await expect(guard.addressesOf('http://outside.example/')).rejects.toThrow('expected an https:// URL')
    expect(await guard.objectionTo('https://127.0.0.1/')).toBeNull()
  })

  test('with allowPrivate nothing is resolved', async () => {
    const { guard, asked } = guardWith({}, { allowPrivate: true })
    expect(await guard.objectionTo('http://inside.example/')).toBeNull()
    expect(await guard.addressesOf('http://inside.example/')).toBeNull()
    expect(asked).toEqual([])
  })
})

describe("this machine's own addresses", () => {
  const OWN = ['198.51.0.7', '2a01:4f8:1:2::7', 'fe80::1']
  const guardOn = (allowPrivate: EndpointRules['allowPrivate']) =>
    guardWith({ 'here.example': [['2a01:4f8:1:2::7']] }, { allowPrivate, ownAddresses: () => OWN }).guard

  test.each([
    'http://198.51.0.7/',
    'http://3325231111/',
    'http://[::ffff:198.51.0.7]/',
    'http://[64:ff9b::198.51.0.7]/',
    'http://[2a01:4f8:1:2::7]/',
    'http://[2a01:04f8:0001:0002:0:0:0:0007]/',
    'http://here.example/',
  ])('are refused though they are public: %s', async url => {
    expect(await guardOn(false).objectionTo(url)).toMatch(/this machine's .*WEBHOOK_ALLOW_PRIVATE/)
    expect(await guardOn(['10.0.0.0/8']).objectionTo(url)).toContain("this machine's")
    expect(await guardOn(['198.51.0.7', '2a01:4f8:1:2::/64']).objectionTo(url)).toBeNull()
    expect(await guardOn(true).objectionTo(url)).toBeNull()
  })

  test('those beside them are not', async () => {
    expect(await guardOn(false).objectionTo('http://198.51.0.8/')).toBeNull()
    expect(await guardOn(false).objectionTo('http://[2a01:4f8:1:2::8]/')).toBeNull()
  })

  test('are those of the interfaces, looked up again when they may have changed, though the clock was set back', async () => {
    const own = ['198.51.0.7']
    const { guard, clock } = guardWith({}, { ownAddresses: () => own })
    expect(await guard.objectionTo('http://198.51.0.8/')).toBeNull()
    own.push('198.51.0.8')
    clock.set(-3_600_000)
    await clock.advance(60_000)
    expect(await guard.objectionTo('http://198.51.0.8/')).toContain("this machine's")
  })
})

test('of a list of networks only those are allowed, in any spelling', async () => {
  const { guard } = guardWith({}, { allowPrivate: ['127.0.0.0/8', '10.1.0.0/16', 'fd00::/8'] })
  for (const host of ['127.0.0.1', '2130706433', '10.1.2.3', '[::ffff:10.1.2.3]', '[fd00::1]'])
    expect(await guard.objectionTo(`http://${host}/`)).toBeNull()
  for (const host of ['10.2.0.1', '[::1]', '169.254.169.254'])
    expect(await guard.objectionTo(`http://${host}/`)).toContain('WEBHOOK_ALLOW_PRIVATE')
})

describe('a name that changes its mind', () => {
  test('is judged again at each connection, though the clock was set back', async () => {
    const { guard, clock } = guardWith({ 'rebinding.example': [[PUBLIC], ['127.0.0.1']] })
    expect(await guard.objectionTo('https://rebinding.example/')).toBeNull()
    clock.set(-3_600_000)
    await clock.advance(60_000)
    await expect(guard.addressesOf('https://rebinding.example/')).rejects.toThrow('loopback')
  })

  test('what was checked a moment ago is what is connected to', async () => {
    const { guard, asked } = guardWith({ 'rebinding.example': [[PUBLIC], ['127.0.0.1']] })
    expect(await guard.addressesOf('https://rebinding.example/')).toEqual([PUBLIC])
    expect(await guard.addressesOf('https://rebinding.example/other')).toEqual([PUBLIC])
    expect(asked).toEqual(['rebinding.example'])
  })

  test('a failure is not remembered', async () => {
    const { guard, asked } = guardWith({})
    for (const _ of [1, 2]) await guard.addressesOf('https://gone.example/').catch(() => undefined)
    expect(asked).toHaveLength(2)
  })
})

test('the system resolves localhost to a loopback address', async () => {
  const guard = createEndpointGuard({ allowPrivate: false, allowHttp: true, clock: new ManualClock() })
  expect(await guard.objectionTo('http://localhost:8080/')).toContain('loopback')
})
