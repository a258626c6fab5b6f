// Curves of one kind, and their mean.

/** So many have a picture each; more share one. */
const MANY = 3;

/** Of a name in two parts, as "angle/input-hidden1", the first. */
export const groupOf = (name: string): string => name.split("/")[0]!;

/** Groups of so many curves that they share a picture. */
export function crowded(names: string[][]): Set<string> {
  const counts = new Map<string, number>();
  for (const list of names) {
    const own = new Map<string, number>();
    for (const name of list) own.set(groupOf(name), (own.get(groupOf(name)) ?? 0) + 1);
    own.forEach((n, group) => counts.set(group, Math.max(n, counts.get(group) ?? 0)));
  }
  return new Set([...counts].filter(([, n]) => n > MANY).map(([group]) => group));
}

/** At each update the mean of what was measured. */
export function mean(curves: number[][]): number[] {
  return (curves[0] ?? []).map((_, t) => {
    const some = curves.map((y) => y[t]).filter((v): v is number => v !== undefined && !Number.isNaN(v));
    return some.length === 0 ? NaN : some.reduce((a, b) => a + b, 0) / some.length;
  });
}

export const known = (v: number | undefined): number | null => (v === undefined || Number.isNaN(v) ? null : v);

/** Curves over one list of updates, each of them once; where a curve has no point there, null. */
export function merged(curves: [number[], number[]][]): [number[], ...(number | null)[][]] {
  const rows = curves.map(([x, y]) => new Map(x.flatMap((u, i): [number, number][] => (known(y[i]) === null ? [] : [[u, y[i]!]]))));
  const all = [...new Set(curves.flatMap(([x]) => x))].sort((a, b) => a - b);
  return [all, ...rows.map((row) => all.map((u) => row.get(u) ?? null))];
}
