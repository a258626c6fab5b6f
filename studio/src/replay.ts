import { decode } from "./protocol";
import { indexAt, inflate, keyBefore, type Recording } from "./recording";
import type { Store } from "./store";

/** A slider rounds, and so do sums: a record is shown from this long before its time on [s]. */
const SLACK = 1e-4;

/** How long a time-lapse is [s]. */
const LAPSE = 30;

/** A recording that is played. */
export class Replay {
  playing = false;
  speed = 1;
  /** Where it is, from its beginning [s]. */
  at = 0;
  onChange: () => void = () => undefined;
  private shown = -1;
  private wanted = -1;
  private busy: Promise<void> | null = null;
  private last = 0;
  private readonly start: number;

  constructor(
    private readonly store: Store,
    private readonly recording: Recording,
  ) {
    this.start = recording.entries[0]!.time;
  }

  get duration(): number {
    return this.recording.entries.at(-1)!.time - this.start;
  }

  /** So fast all of it is seen in half a minute. */
  get lapse(): number {
    return Math.max(1, this.duration / LAPSE);
  }

  play(): void {
    if (this.playing) return;
    if (this.at >= this.duration) this.at = 0;
    this.playing = true;
    this.last = performance.now();
    requestAnimationFrame(this.tick);
    this.onChange();
  }

  pause(): void {
    this.playing = false;
    this.onChange();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  /** One record on or back. */
  step(by: number): Promise<void> {
    this.pause();
    const { entries } = this.recording;
    const index = Math.min(Math.max(indexAt(entries, this.start + this.at + SLACK) + by, 0), entries.length - 1);
    return this.seek(entries[index]!.time - this.start);
  }

  /** Show a time; done when it is shown. */
  seek(time: number): Promise<void> {
    this.at = Math.min(Math.max(time, 0), this.duration);
    this.wanted = indexAt(this.recording.entries, this.start + this.at + SLACK);
    this.onChange();
    this.busy ??= this.catchUp().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  private readonly tick = (now: number): void => {
    if (!this.playing) return;
    const time = this.at + (this.speed * Math.max(now - this.last, 0)) / 1000;
    this.last = now;
    if (time >= this.duration) this.pause();
    else requestAnimationFrame(this.tick);
    void this.seek(time);
  };

  private async catchUp(): Promise<void> {
    while (this.shown !== this.wanted) {
      const { entries } = this.recording;
      const key = keyBefore(entries, this.wanted);
      // What is played so fast that it passes a key on the way shows that.
      const target = this.playing && key > this.shown ? key : this.wanted;
      const from = target > this.shown && key <= this.shown ? this.shown + 1 : key;
      try {
        for (let i = from; i <= target; i++) {
          this.store.apply(decode(await inflate(this.recording, entries[i]!)));
        }
      } catch (error) {
        console.error(error);
        this.playing = false;
        this.store.connect("broken", "A part of this recording cannot be read.");
        this.onChange();
      }
      this.shown = target;
    }
  }
}
