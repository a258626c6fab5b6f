import "uplot/dist/uPlot.min.css";
import type { Context } from "./context";
import { button, h } from "./dom";
import { number } from "./format";
import { keys } from "./keys";
import { Live } from "./live";
import { Look } from "./look";
import { Loop } from "./loop";
import { bar } from "./panels/bar";
import { controls, looks } from "./panels/controls";
import { help } from "./panels/help";
import { legend } from "./panels/legend";
import { Notices } from "./panels/notices";
import { plots } from "./panels/plots";
import { rule } from "./panels/rule";
import { sample } from "./panels/sample";
import { Tour } from "./panels/tour";
import { unit } from "./panels/unit";
import { scan } from "./recording";
import { Replay } from "./replay";
import { Store } from "./store";
import { asked, show } from "./theme";
import { View } from "./view/view";

type Mode = { mode: "live" } | { mode: "replay"; file: string };

const store = new Store();
const look = new Look();
const loop = new Loop();
let played: Replay | null = null;
let space: View | null = null;
const drawn = (): Promise<void> => {
  space?.settle();
  return new Promise((done) => loop.after(done));
};
// For tests, and for whoever takes pictures of a recording.
Object.defineProperty(window, "studio", {
  value: Object.freeze({
    get frames(): number {
      return store.frames;
    },
    get bundles(): number {
      return store.bundles;
    },
    get state(): unknown {
      return store.state;
    },
    get connection(): string {
      return store.connection;
    },
    /** How long the recording is [s]; 0 where there is none. */
    get duration(): number {
      return played?.duration ?? 0;
    },
    /** Done when all that is known now is drawn. */
    drawn,
    /** Shows a time of the recording; done when it is drawn. */
    seek: async (time: number): Promise<void> => {
      await played?.seek(time);
      await drawn();
    },
  }),
});

async function begin(): Promise<void> {
  show();
  const root = document.getElementById("app")!;
  const notices = new Notices(store);
  let live: Live | null = null;
  let replay: Replay | null = null;
  let trouble = "";
  try {
    const mode = await about();
    if (mode.mode === "replay") {
      const recording = scan(await (await got(mode.file)).arrayBuffer());
      if (recording.truncated) trouble = "Recording, which ends early";
      replay = new Replay(store, recording);
    } else live = new Live(store, (then) => loop.after(then));
  } catch (error) {
    root.replaceChildren(h("main", { className: "alone" }, h("h1", {}, "Byway studio"), h("p", { attrs: { role: "alert" } }, words(error))));
    return;
  }
  const box = h("div", { className: "view" });
  const context: Context = {
    store,
    look,
    loop,
    ask: live?.ask ?? null,
    replay,
    view: null,
    say: notices.say,
    want: (what, value) => {
      live?.ask(what, value).catch((error: unknown) => notices.say(words(error)));
    },
    pick: (units, side = store.side) => {
      store.select(units, side);
      store.pinned = live === null && units.length > 0;
      if (live !== null) context.want("select", { units, side });
    },
  };
  try {
    space = new View(box, store, look, loop);
    context.view = space;
  } catch (error) {
    console.error(error);
    box.append(h("div", { className: "blind", attrs: { role: "note" } }, h("p", {}, "This browser does not offer WebGL 2, which the picture needs. Everything else works: the panels, the curves and the keys.")));
  }
  build(root, context, box, notices);
  if (replay !== null) {
    played = replay;
    store.connect("replay", trouble);
    await replay.seek(0);
    if (asked("lapse")) {
      replay.speed = replay.lapse;
      replay.play();
    }
  }
  live?.open();
}

function build(root: HTMLElement, context: Context, box: HTMLElement, notices: Notices): void {
  const { view } = context;
  const tour = new Tour(context);
  const dialog = help(() => tour.start());
  const tip = h("div", { className: "tip", hidden: true, attrs: { "aria-hidden": "true" } });
  const tools = h("div", { className: "tools", attrs: { role: "group", "aria-label": "View" } },
    button("fit", "See it all", () => view?.fit(), { title: "See it all (f)" }),
    button("focus", "See what is picked", () => view?.focus(), { title: "See what is picked (o)" }),
    button("plus", "Nearer", () => view?.zoom(1 / 1.25), { title: "Nearer (Page up)" }),
    button("minus", "Farther", () => view?.zoom(1.25), { title: "Farther (Page down)" }));
  const stage = h("section", { className: "stage", attrs: { "aria-label": "The network" } }, box, ...(view === null ? [] : [tools]), legend(context), tip);
  const panels = [sample(context), unit(context), ...(context.ask === null ? [] : [controls(context)]), looks(context), rule(context)];
  const side = h("aside", { className: "side", tabIndex: 0, attrs: { "aria-label": "Panels" } }, ...panels);
  root.append(bar(context, () => dialog.showModal()), h("main", {}, stage, plots(context), side), dialog, tour.element, notices.element);
  if (view !== null) {
    view.onPick = (hit, more) => {
      const { selected } = store;
      if (hit === null) context.pick([]);
      else if (more && selected.length > 0 && hit.side === store.side && selected[0] !== hit.unit) context.pick([selected[0]!, hit.unit], hit.side);
      else context.pick([hit.unit], hit.side);
    };
    view.onHover = (hit, x, y) => {
      tip.hidden = hit === null;
      const of = hit === null ? undefined : store.sides[hit.side];
      if (hit === null || of === undefined) return;
      const value = of.value(hit.unit);
      const title = of.scene?.quantities.find((q) => q.name === of.units?.quantity)?.title ?? "";
      tip.textContent = `${of.name(hit.unit)}${value === null ? "" : ` · ${title.toLowerCase()} ${number(value)}`}`;
      tip.style.transform = `translate(${Math.min(x + 14, box.clientWidth - tip.offsetWidth - 8)}px, ${y + 14}px)`;
    };
  }
  keys(context, dialog, () => {
    const { open } = tour;
    if (open) tour.end();
    return open;
  });
}

async function about(): Promise<Mode> {
  const response = await got("studio.json");
  const said = (await response.json()) as Mode;
  if (said.mode !== "live" && said.mode !== "replay") throw new Error("studio.json, beside this page, does not say what to show.");
  return said;
}

async function got(name: string): Promise<Response> {
  const address = new URL(name, window.location.href);
  if (address.search === "") address.search = window.location.search;
  const response = await fetch(address).catch(() => null);
  if (response?.ok !== true) throw new Error(`${name} cannot be read${response === null ? "" : `: ${response.status} ${response.statusText}`}.`);
  return response;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

void begin();
