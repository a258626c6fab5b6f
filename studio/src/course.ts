/** A sequence of more steps than numbers in each, with its steps from left to right and each number from its least to its most; or null. */
export function course(values: Float32Array, shape: number[]): { values: Float32Array; shape: [number, number, number] } | null {
  const [steps = 0, size = 0] = shape;
  if (shape.length !== 2 || steps <= 2 * size) return null;
  const turned = new Float32Array(steps * size);
  for (let i = 0; i < size; i++) {
    let [low, high] = [Infinity, -Infinity];
    for (let t = 0; t < steps; t++) {
      low = Math.min(low, values[t * size + i]!);
      high = Math.max(high, values[t * size + i]!);
    }
    for (let t = 0; t < steps; t++) turned[i * steps + t] = (values[t * size + i]! - low) / (high - low || 1);
  }
  return { values: turned, shape: [size, steps, 1] };
}
