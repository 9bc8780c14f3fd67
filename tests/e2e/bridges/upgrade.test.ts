/** A bridge from before BRIDGE_PORT works at PORT, and at BRIDGE_PORT once restarted. */
import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'
import { attachedGateway } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { Testnet } from '../../support/testnet.ts'
import { linkedUser, PLATFORM, sendText } from './cases/setting.ts'

test.skipIf(!testBridge)(
  'messages go both ways before its restart and after',
  async () => {
    const env = { LOG_LEVEL: 'info' }
    await using deployment = await attachedGateway(
      'embedded',
      { [PLATFORM]: { program: testBridge ?? '' } },
      { env },
    )
    const { client, gateway } = deployment
    const bridge = deployment.bridge(PLATFORM)
    const setting = { deployment, testnet: new Testnet(bridge.controlUrl) }
    const addresses = () => {
      const { address, status_endpoint: status } = parse(readFileSync(bridge.configFile, 'utf8')).homeserver
      return [new URL(address).origin, new URL(status).origin]
    }
    const now = addresses()
    const mainUrl = client.address.url
    const countOf = (words: string) => gateway.output().split(words).length - 1

    // The old configuration, with which a bridge runs on when only the gateway restarts.
    await bridge.stop()
    await gateway.stop()
    const text = readFileSync(bridge.configFile, 'utf8')
    await gateway.start()
    writeFileSync(bridge.configFile, text.replaceAll(now[0] ?? '', mainUrl))
    await bridge.start()
    await using user = await linkedUser(setting)
    const friend = await setting.testnet.newPhone()
    await sendText(user, friend, 'by the clients’ port')
    expect(countOf('a bridge comes to PORT')).toBe(1)
    expect(addresses()).toEqual(now)

    await bridge.stop()
    await bridge.start()
    await sendText(user, friend, 'by its own')
    await friend.send({ to: user.phone.number, text: 'and back' })
    expect(await user.inbox.next()).toMatchObject({ message: 'and back' })
    expect(countOf('a bridge comes to PORT')).toBe(1)
  },
  120_000,
)
