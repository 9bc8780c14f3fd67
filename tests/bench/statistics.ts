/** Medians and percentiles. */

export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** @param percent 0 to 100; the nearest rank */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length))
  return sorted[rank - 1] ?? Number.NaN
}
