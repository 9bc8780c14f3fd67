/** A map that forgets what was used longest ago. */
export class LruMap<K, V> {
  private readonly entries = new Map<K, V>()
  /**
   * Stands at the oldest entry and is kept: one that begins anew walks over the places of all that
   * were removed, which for a large map takes as long as reading a row.
   */
  private oldest = this.entries.entries()

  constructor(private readonly capacity: number) {}

  get(key: K): V | undefined {
    const value = this.entries.get(key)
    if (value === undefined) return undefined
    this.entries.delete(key)
    this.entries.set(key, value)
    return value
  }

  set(key: K, value: V): void {
    this.entries.delete(key)
    this.entries.set(key, value)
    if (this.entries.size > this.capacity) this.dropOldest()
  }

  /** @returns what was used longest ago, which is forgotten now */
  dropOldest(): V | undefined {
    let next = this.oldest.next()
    if (next.done) {
      // One that has come to the end stays there.
      this.oldest = this.entries.entries()
      next = this.oldest.next()
    }
    if (next.done) return undefined
    this.entries.delete(next.value[0])
    return next.value[1]
  }

  get size(): number {
    return this.entries.size
  }

  delete(key: K): void {
    this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
    this.oldest = this.entries.entries()
  }
}
