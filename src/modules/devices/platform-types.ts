import type { PlatformView } from '../../domain/views/platform.ts'

export interface Platforms {
  /** Every platform there is; one whose bridge doesn't answer soon is unavailable. */
  list(matrixUserId: string): Promise<PlatformView[]>
}
