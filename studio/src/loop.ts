/** Draws when something asks for it, and not otherwise. */
export class Loop {
  private readonly drawers: ((now: number) => boolean)[] = [];
  private waiting: (() => void)[] = [];
  private scheduled = false;
  /** Whether the last frame is still being drawn: then the next one waits, and shows what is known by then. */
  busy: () => boolean = () => false;

  /** Something that draws a frame; true if it wants another one. */
  add(draw: (now: number) => boolean): void {
    this.drawers.push(draw);
  }

  request(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(this.frame);
  }

  /** Call back after the next frame. */
  after(then: () => void): void {
    this.waiting.push(then);
    this.request();
  }

  private readonly frame = (now: number): void => {
    this.scheduled = false;
    if (this.busy()) {
      this.request();
      return;
    }
    const again = this.drawers.map((draw) => draw(now)).some(Boolean);
    const done = this.waiting;
    this.waiting = [];
    done.forEach((then) => then());
    if (again || this.busy()) this.request();
  };
}
