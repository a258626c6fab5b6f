import type { Ask } from "./ask";
import { decode } from "./protocol";
import type { Store } from "./store";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

/** A run that goes on: bundles come by websocket, one after the other was drawn. */
export class Live {
  private socket: WebSocket | null = null;
  private wait = FIRST_WAIT;
  private timer = 0;
  private next = 1;
  private readonly asked = new Map<number, { done: () => void; fail: (why: Error) => void }>();

  constructor(
    private readonly store: Store,
    /** Calls back after what is new was drawn. */
    private readonly drawn: (then: () => void) => void,
  ) {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.socket === null) this.open();
    });
  }

  open(): void {
    window.clearTimeout(this.timer);
    const address = new URL("live", window.location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.search = window.location.search;
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
      this.store.connect("live");
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.answer(data);
      else this.take(socket, data as ArrayBuffer);
    };
    socket.onclose = () => this.lost(socket);
  }

  readonly ask: Ask = (what, value = null) => {
    const { socket } = this;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("There is no connection to the run."));
    const id = this.next++;
    socket.send(JSON.stringify({ do: what, id, value }));
    return new Promise((done, fail) => this.asked.set(id, { done, fail }));
  };

  private take(socket: WebSocket, data: ArrayBuffer): void {
    let fits: boolean;
    try {
      fits = this.store.apply(decode(data));
    } catch (error) {
      console.error(error);
      fits = false;
    }
    if (!fits) {
      socket.close(); // the next connection begins with everything
      return;
    }
    this.drawn(() => {
      if (socket.readyState === WebSocket.OPEN) socket.send('{"do":"ready"}');
    });
  }

  private answer(data: string): void {
    const { id, ok, error } = JSON.parse(data) as { id?: number; ok?: boolean; error?: string };
    const asked = this.asked.get(id ?? -1);
    this.asked.delete(id ?? -1);
    if (ok === true) asked?.done();
    else asked?.fail(new Error(error ?? "The run refused."));
  }

  private lost(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    this.asked.forEach(({ fail }) => fail(new Error("The connection was lost.")));
    this.asked.clear();
    this.store.connect("lost");
    this.timer = window.setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }
}
