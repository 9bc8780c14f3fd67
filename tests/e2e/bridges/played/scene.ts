/** The test bridge on the embedded homeserver; the gateway only has the accounts. */

import { announcingHomeserver, type Features } from '../../../support/announcing-homeserver.ts'
import { attachedGateway, type Deployment } from '../../../support/attached-gateway.ts'
import { testBridge } from '../../../support/bridge-program.ts'
import { DrivenBridge, type Portal } from '../../../support/driven-bridge.ts'
import { freePort } from '../../../support/program.ts'
import { type PhoneOptions, Testnet } from '../../../support/testnet.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { link, PLATFORM } from '../cases/setting.ts'

export interface Scene extends AsyncDisposable {
  deployment: Deployment
  testnet: Testnet
  bridge: DrivenBridge
}

export type SceneOf = () => Scene

/** @param features of the homeserver, unlike its own. @param settings of the bridge */
export async function openScene(features: Features, settings: Record<string, string>): Promise<Scene> {
  const port = freePort()
  const stack = new AsyncDisposableStack()
  const homeserver = stack.use(announcingHomeserver(`http://127.0.0.1:${port}`, features))
  try {
    const bridges = {
      [PLATFORM]: {
        program: testBridge ?? '',
        settings: { 'homeserver.address': homeserver.url, ...settings },
      },
    }
    const deployment = stack.use(
      await attachedGateway('embedded', bridges, { env: { BRIDGE_PORT: String(port) } }),
    )
    const program = deployment.bridge(PLATFORM)
    const owned = stack.move()
    return {
      deployment,
      testnet: new Testnet(program.controlUrl),
      bridge: new DrivenBridge(program),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

export interface Chat {
  /** Matrix user whose phone is linked. */
  user: string
  phone: TestnetPhone
  friend: TestnetPhone
  portal: Portal
}

/** A newly linked phone of a new user, and a chat in which a new friend has said hello. */
export async function newChat(
  scene: Scene,
  options: PhoneOptions = {},
  own: PhoneOptions = {},
): Promise<Chat> {
  const { deployment, testnet } = scene
  const phone = await testnet.newPhone(own)
  await link(await deployment.client.account(), phone, PLATFORM)
  const friend = await testnet.newPhone(options)
  await friend.send({ to: phone.id, text: 'hello' })
  const portal = await scene.bridge.portal(options.chats_by_number ? friend.id : chatIdOf(friend))
  await portal.waitForBody('hello')
  return { user: await portal.user(), phone, friend, portal }
}

/** The id of the direct chat with a phone. */
export const chatIdOf = ({ lid, id }: TestnetPhone) => (lid === null ? id : `${lid}@lid`)
