// How the page shows what it shows: of this page alone, and not of the run.

export type Paint = "quantity" | "population";
export type Ink = "sign" | "age" | "delay" | "population";

export class Look {
  paint: Paint = "quantity";
  ink: Ink = "sign";
  hidden = new Set<number>();
  /** A plane that cuts away what lies beyond: its axis, and where, from 0 to 1. */
  cut: { axis: 0 | 1 | 2; at: number } | null = null;
  /** The radius of the ball around the picked unit, while it is looked at. */
  ball: number | null = null;
  labels = true;
  private readonly listeners = new Set<() => void>();

  on(listener: () => void): void {
    this.listeners.add(listener);
  }

  set(change: Partial<Pick<Look, "paint" | "ink" | "hidden" | "cut" | "ball" | "labels">>): void {
    Object.assign(this, change);
    this.listeners.forEach((listener) => listener());
  }
}
