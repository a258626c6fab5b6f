const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A number, to three digits or so. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e") as [string, string];
    return `${minus(String(Number(mantissa)))}·10${raised(Number(power))}`;
  }
  if (Number.isInteger(value) || size >= 10 ** digits) return minus(whole.format(value));
  return minus(value.toPrecision(digits));
}

export const count = (value: number): string => whole.format(value);

export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s >= 3600 ? `${Math.floor(s / 3600)}:${rest}` : rest.replace(/^0/, "");
}

export function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const minus = (text: string): string => text.replace("-", "−");
const raised = (power: number): string =>
  [...String(power)].map((c) => ({ "-": "⁻" })[c] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)]).join("");
