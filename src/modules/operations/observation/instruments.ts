/** Makes the instruments of a registry, named with their labels: `meshgate_webhooks{state}`. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export function instrumentsOf(registry: Registry) {
  const registers = [registry]
  return {
    counter: (named: string, help: string) => new Counter({ ...parsed(named), help, registers }),
    gauge: (named: string, help: string) => new Gauge({ ...parsed(named), help, registers }),
    histogram: (named: string, buckets: number[], help: string) =>
      new Histogram({ ...parsed(named), buckets, help, registers }),
  }
}

function parsed(named: string): { name: string; labelNames: string[] } {
  const [name = '', labels] = named.split(/[{}]/)
  return { name, labelNames: labels?.split(',') ?? [] }
}
