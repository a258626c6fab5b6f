import type { Context } from "../context";
import { button, h, options, relabel } from "../dom";
import { clock, count, number, size } from "../format";
import { theme, toggleTheme } from "../theme";

export const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** The uppermost line: what runs, and how. */
export function bar(context: Context, help: () => void): HTMLElement {
  const { store } = context;
  const title = h("div", { className: "title" }, h("h1", {}, "Byway studio"), h("p", { className: "what" }));
  const what = title.querySelector("p")!;
  const facts = h("dl", { className: "facts" });
  const status = h("p", { className: "status", attrs: { role: "status" } });
  const bright = button("theme", "Light or dark", toggleTheme);
  const keys = button("help", "Keys and help", help, { title: "Keys and help (?)" });
  const middle = context.replay === null ? live(context) : replayed(context);
  const record = context.ask === null ? [] : recorder(context);
  store.on("scene", () => {
    what.textContent = store.sides.map((s) => s.scene?.label ?? "").join(" and ");
    document.title = `${what.textContent} · Byway studio`;
  });
  const texts: Record<string, HTMLElement> = {};
  for (const name of ["update", "epoch", "time", "updates/s"]) {
    texts[name] = h("dd", {}, "–");
    facts.append(h("div", { className: `fact-${name.replace("/", "-")}` }, h("dt", {}, name), texts[name]));
  }
  store.on("state", () => {
    const { state } = store;
    if (state === null) return;
    texts.update!.textContent = count(state.update);
    texts.epoch!.textContent = number(state.epoch, 3);
    texts.time!.textContent = clock(state.seconds);
    texts["updates/s"]!.textContent = state.running ? number(state.rate, 3) : "0";
  });
  const tell = (): void => {
    const { state, connection, trouble } = store;
    const [mood, text] =
      connection === "lost"
        ? ["bad", "Disconnected; trying again"]
        : connection === "broken"
          ? ["bad", trouble]
          : connection === "connecting"
            ? ["", "Connecting"]
            : state?.failed
              ? ["bad", `Stopped by an error: ${state.failed}`]
              : connection === "replay"
                ? ["", trouble || "Recording"]
                : state?.finished
                  ? ["", "Finished"]
                  : state?.running
                    ? ["good", "Running"]
                    : ["", "Paused"];
    if (status.textContent !== text) status.textContent = text;
    status.className = `status ${mood}`;
  };
  store.on(["state", "connection"], tell);
  tell();
  const header = h("header", { className: "bar" }, title, middle, facts, status, h("div", { className: "group end" }, ...record, bright, keys));
  bright.setAttribute("aria-pressed", String(theme() === "light"));
  bright.addEventListener("click", () => bright.setAttribute("aria-pressed", String(theme() === "light")));
  return header;
}

function live(context: Context): HTMLElement {
  const { store, want } = context;
  const run = button("play", "Run", () => want(store.state?.running ? "pause" : "run"), { word: true, title: "Run (Space)" });
  run.className = "main";
  run.id = "run";
  const step = button("step", "Step", () => want("step", Number(many.value)), { title: "Step (s)" });
  const many = h("select", { title: "Updates in a step", attrs: { "aria-label": "Updates in a step" } });
  options(many, ["1", "10", "100", "1000"].map((n) => [n, `× ${n}`]), "1");
  const speed = h("select", { title: "Updates a second at most (+ and −)", attrs: { "aria-label": "Updates a second at most" } });
  speed.onchange = () => want("speed", speed.value === "" ? null : Number(speed.value));
  store.on("state", () => {
    const { state } = store;
    if (state === null) return;
    relabel(run, state.running ? "pause" : "play", state.running ? "Pause" : "Run", state.running ? "Pause (Space)" : "Run (Space)");
    run.disabled = state.finished || state.failed !== null;
    step.disabled = run.disabled || state.running;
    const known = state.speed === null || SPEEDS.includes(state.speed) ? SPEEDS : [...SPEEDS, state.speed].sort((a, b) => a - b);
    options(speed, [...known.map((n): [string, string] => [String(n), `${n}/s`]), ["", "full speed"]], state.speed === null ? "" : String(state.speed));
  });
  return h("div", { className: "group", id: "running", attrs: { role: "group", "aria-label": "Training" } }, run, step, many, speed);
}

function replayed(context: Context): HTMLElement {
  const replay = context.replay!;
  const play = button("play", "Play", () => replay.toggle(), { word: true, title: "Play (Space)" });
  play.className = "main";
  play.id = "run";
  const slider = h("input", {
    type: "range",
    min: "0",
    max: String(replay.duration),
    step: "any",
    value: "0",
    className: "time",
    attrs: { "aria-label": "Time in the recording" },
  });
  slider.oninput = () => void replay.seek(Number(slider.value));
  const time = h("span", { className: "clock" });
  const speed = h("select", { attrs: { "aria-label": "How fast to play" } });
  const speeds = [0.25, 0.5, 1, 2, 4, 8, 16, 32].map((n): [string, string] => [String(n), `× ${n}`]);
  options(speed, replay.lapse > 1 ? [...speeds, [String(replay.lapse), "all in 30 s"]] : speeds, "1");
  speed.onchange = () => {
    replay.speed = Number(speed.value);
  };
  const show = (): void => {
    relabel(play, replay.playing ? "pause" : "play", replay.playing ? "Pause" : "Play", replay.playing ? "Pause (Space)" : "Play (Space)");
    slider.value = String(replay.at);
    const words = `${clock(replay.at)} / ${clock(replay.duration)}`;
    time.textContent = words;
    slider.setAttribute("aria-valuetext", words.replace("/", "of"));
    if (Number(speed.value) !== replay.speed) speed.value = String(replay.speed);
  };
  replay.onChange = show;
  show();
  return h("div", { className: "group replay", id: "running", attrs: { role: "group", "aria-label": "Recording" } }, play, slider, time, speed);
}

function recorder(context: Context): HTMLElement[] {
  const { store, want } = context;
  const played = new URL(window.location.href);
  played.searchParams.set("recorded", "");
  played.hash = "lapse";
  const lapse = h("a", { href: played.href, target: "_blank", rel: "noopener", hidden: true, className: "lapse", title: "All that was recorded, in half a minute" }, "Time-lapse");
  const record = button("record", "Record", () => want("record", store.state?.recording === null), { word: true, title: "Record (r)" });
  record.className = "record";
  record.setAttribute("aria-pressed", "false");
  store.on("state", () => {
    const recording = store.state?.recording ?? null;
    record.setAttribute("aria-pressed", String(recording !== null));
    relabel(record, recording === null ? "record" : "stop", recording === null ? "Record" : "Stop recording", "Record (r)");
    const word = record.querySelector(".word")!;
    word.textContent = recording === null ? "Record" : `${clock(recording.seconds)} · ${size(recording.bytes)}`;
    lapse.hidden = recording === null && !store.state?.saved.some((file) => file.endsWith(".bywayrec"));
  });
  return [record, lapse];
}
