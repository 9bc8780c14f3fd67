/**
 * Calls of the specification for things that this server never has; each answers that there is
 * none.
 */
import type { JsonObject } from '../json.ts'

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv3voipturnserver */
export const turnServer = (): JsonObject => ({})

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv3thirdpartyprotocols */
export const thirdPartyProtocols = (): JsonObject => ({})

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv3pushers */
export const pushers = (): JsonObject => ({ pushers: [] })

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv3notifications */
export const notifications = (): JsonObject => ({ notifications: [] })

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixclientv3account3pid */
export const thirdPartyIds = (): JsonObject => ({ threepids: [] })

/** @see https://spec.matrix.org/v1.5/client-server-api/#get_matrixmediav3preview_url */
export const urlPreview = (): JsonObject => ({})
