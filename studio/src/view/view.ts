import {
  BufferAttribute,
  BufferGeometry,
  Color,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  type Material,
  type Object3D,
  PerspectiveCamera,
  Scene,
  SRGBColorSpace,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { PALETTES, type Rgb } from "../colours";
import type { Look } from "../look";
import type { Loop } from "../loop";
import { FREE } from "../protocol";
import type { Side, Store } from "../store";
import { calm, filmed, onTheme, theme } from "../theme";
import { h } from "../dom";
import { Labels } from "./labels";
import { FLASHES, Ghosts, Lines } from "./lines";
import { Pace } from "./pace";
import { Places, visible } from "./places";
import { NO_CUT, paint, shared, type Shared } from "./shared";
import { radii, Units } from "./units";

const FIELD = 25;
const CLICK = 4;
const GLIDE = 420;
const SLOW = 100;
/** A picture of so many pixels is what the faintness of lines was chosen for. */
const TYPICAL = 5e5;

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Show {
  root: Scene;
  places: Places;
  units: Units;
  synapses: Lines;
  picked: Lines;
  ghosts: Ghosts;
  radii: Float32Array;
  plan: string;
  slowest: number;
  drawn: number;
}

export interface Hit {
  side: number;
  unit: number;
}

/** The network in space. */
export class View {
  readonly canvas = h("canvas", {
    tabIndex: 0,
    className: "canvas",
    attrs: {
      role: "application",
      "aria-label": "The network in space. Left and right arrow: from unit to unit. With Shift, arrows turn the view. Question mark: all keys.",
    },
  });
  onPick: (hit: Hit | null, more: boolean) => void = () => undefined;
  onHover: (hit: Hit | null, x: number, y: number) => void = () => undefined;
  private readonly renderer: WebGLRenderer;
  private readonly camera = new PerspectiveCamera(FIELD, 1, 1, 1e5);
  private readonly controls: OrbitControls;
  private readonly uniforms: Shared = shared();
  private readonly shows: Show[] = [];
  private readonly labels: Labels;
  private readonly aids = new Scene();
  private readonly plane: LineLoop;
  private readonly ball: LineSegments;
  private readonly box = { low: new Vector3(), high: new Vector3() };
  private hovered: Hit | null = null;
  private glide: { from: [Vector3, Vector3]; to: [Vector3, Vector3]; start: number } | null = null;
  private home = 1;
  private lit = -1e6;
  private stale = new Set<"scene" | "units" | "edges" | "marks" | "look" | "theme">();
  private fitted = false;
  private dragged = false;
  private readonly pace = new Pace(() => this.ask());
  /** Whether the picture differs from what is drawn. */
  private due = true;
  /** Stands for the picture that is being drawn. */
  private fence: WebGLSync | null = null;
  private readonly start = performance.now();

  constructor(
    private readonly host: HTMLElement,
    private readonly store: Store,
    private readonly look: Look,
    private readonly loop: Loop,
  ) {
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: false, powerPreference: "high-performance" });
    this.renderer.autoClear = false;
    this.labels = new Labels();
    host.append(this.canvas, this.labels.element);
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.dampingFactor = 0.14;
    this.controls.addEventListener("change", () => this.ask());
    this.controls.addEventListener("start", () => {
      this.glide = null;
      this.dragged = true;
    });
    this.controls.addEventListener("end", () => {
      this.dragged = false;
    });
    this.plane = new LineLoop(new BufferGeometry(), new LineBasicMaterial({ transparent: true, opacity: 0.5, depthTest: false }));
    this.ball = new LineSegments(rings(), new LineBasicMaterial({ transparent: true, opacity: 0.55, depthTest: false }));
    this.plane.visible = false;
    this.ball.visible = false;
    this.plane.frustumCulled = false;
    this.ball.frustumCulled = false;
    this.aids.add(this.plane, this.ball);
    this.listen();
    this.mark("theme");
    loop.add((now) => this.draw(now));
    loop.busy = () => this.busy();
  }

  /** See it all. */
  fit(glide = true): void {
    const way = this.outlook();
    this.frameUp(way, glide);
  }

  /** See what is picked, and what is around it. */
  focus(): void {
    const side = this.store.sides[this.store.side];
    const { selected } = this.store;
    if (side === undefined || selected.length === 0) return;
    const target = new Vector3();
    selected.forEach((unit) => target.add(at(side, unit)));
    target.divideScalar(selected.length);
    const radius = this.shows[this.store.side]?.radii[selected[0]!] ?? 1;
    let reach = 24 * radius;
    selected.forEach((unit) => (reach = Math.max(reach, 2.4 * at(side, unit).distanceTo(target))));
    const way = this.camera.position.clone().sub(this.controls.target).normalize();
    const far = reach / Math.tan((FIELD * Math.PI) / 360) / 2;
    this.move(target, target.clone().addScaledVector(way, far), true);
  }

  /** Draw all there is, however long it takes. */
  settle(): void {
    this.pace.once();
  }

  turn(x: number, y: number): void {
    const arm = this.camera.position.clone().sub(this.controls.target);
    const flat = Math.hypot(arm.x, arm.z);
    const polar = Math.min(Math.max(Math.atan2(flat, arm.y) + y, 0.05), Math.PI - 0.05);
    const angle = Math.atan2(arm.x, arm.z) + x;
    const r = arm.length();
    arm.set(r * Math.sin(polar) * Math.sin(angle), r * Math.cos(polar), r * Math.sin(polar) * Math.cos(angle));
    this.move(this.controls.target.clone(), this.controls.target.clone().add(arm), false);
  }

  zoom(by: number): void {
    const arm = this.camera.position.clone().sub(this.controls.target).multiplyScalar(by);
    this.move(this.controls.target.clone(), this.controls.target.clone().add(arm), false);
  }

  pan(x: number, y: number): void {
    const step = 0.08 * this.camera.position.distanceTo(this.controls.target);
    const right = new Vector3().setFromMatrixColumn(this.camera.matrixWorld, 0).multiplyScalar(x * step);
    const up = new Vector3().setFromMatrixColumn(this.camera.matrixWorld, 1).multiplyScalar(y * step);
    const by = right.add(up);
    this.move(this.controls.target.clone().add(by), this.camera.position.clone().add(by), false);
  }

  /** Where a unit is on the page. */
  private rects(): Rect[] {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (this.shows.length < 2) return [{ x: 0, y: 0, width, height }];
    return width >= height
      ? [0, 1].map((i) => ({ x: (i * width) / 2, y: 0, width: width / 2, height }))
      : [0, 1].map((i) => ({ x: 0, y: (i * height) / 2, width, height: height / 2 }));
  }

  private listen(): void {
    const { store, look } = this;
    store.on("scene", () => this.mark("scene"));
    store.on("units", () => this.mark("units"));
    store.on("edges", () => this.mark("edges"));
    store.on(["selected", "selection"], () => this.mark("marks"));
    look.on(() => this.mark("look"));
    onTheme(() => this.mark("theme"));
    new ResizeObserver(() => {
      // Another size wipes the canvas: what was there is drawn again before anybody sees that.
      this.size();
      this.due = true;
      if (this.draw(performance.now())) this.loop.request();
    }).observe(this.host);
    let down: { x: number; y: number } | null = null;
    this.canvas.addEventListener("pointerdown", (e) => {
      down = { x: e.clientX, y: e.clientY };
    });
    this.canvas.addEventListener("pointerup", (e) => {
      if (down === null || Math.hypot(e.clientX - down.x, e.clientY - down.y) > CLICK) return;
      const [x, y] = this.inside(e);
      this.onPick(this.hit(x, y), e.shiftKey);
    });
    let asked = false;
    this.canvas.addEventListener("pointermove", (e) => {
      if (e.buttons !== 0 || e.pointerType === "touch" || asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        const [x, y] = this.inside(e);
        this.hover(this.hit(x, y), x, y);
      });
    });
    this.canvas.addEventListener("pointerleave", () => this.hover(null, 0, 0));
  }

  private inside(e: PointerEvent): [number, number] {
    const box = this.host.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  private hover(hit: Hit | null, x: number, y: number): void {
    if (hit?.unit !== this.hovered?.unit || hit?.side !== this.hovered?.side) {
      this.hovered = hit;
      this.mark("marks");
    }
    this.canvas.style.cursor = hit === null ? "" : "pointer";
    this.onHover(hit, x, y);
  }

  private mark(what: typeof this.stale extends Set<infer T> ? T : never): void {
    this.stale.add(what);
    this.ask();
  }

  private ask(): void {
    this.due = true;
    this.loop.request();
  }

  private clock(): number {
    return (performance.now() - this.start) / 1000;
  }

  private sync(): void {
    const { stale } = this;
    const { sides } = this.store;
    if (stale.size === 0) return;
    if (stale.has("theme")) this.recolour();
    while (this.shows.length < sides.length) this.shows.push(this.show());
    const scene = stale.has("scene");
    sides.forEach((side, i) => {
      const show = this.shows[i]!;
      if (scene) this.lay(show, side);
      if (scene || stale.has("look")) show.places.set(side, this.look);
      if (scene || stale.has("units") || stale.has("look")) show.units.value(side, this.look);
      if (stale.has("edges")) this.wire(show, side, i);
      if (scene || stale.has("marks") || stale.has("look")) this.flag(show, side, i);
    });
    if (stale.has("edges")) this.store.changes = [];
    if (scene) {
      this.bound();
      this.labels.set(sides, this.look);
    }
    if (scene || stale.has("look") || stale.has("marks")) this.aid();
    if (stale.has("look")) this.labels.set(sides, this.look);
    stale.clear();
    if (scene && !this.fitted && sides.some((side) => side.count > 0)) {
      this.fitted = true;
      this.size();
      this.fit(false);
    }
  }

  private show(): Show {
    const root = new Scene();
    const [synapses, gone, picked] = [0, 1, 4].map((order) => new Lines(this.uniforms, order)) as [Lines, Lines, Lines];
    const units = new Units(this.uniforms);
    root.add(synapses.mesh, gone.mesh, picked.mesh, units.points);
    const none = new Float32Array();
    return { root, places: new Places(), units, synapses, picked, ghosts: new Ghosts(gone), radii: none, plan: "", slowest: 1, drawn: 0 };
  }

  private lay(show: Show, side: Side): void {
    const plan = JSON.stringify(side.scene?.populations ?? null);
    const known = show.plan === plan;
    if (!known) {
      show.radii = radii(side);
      this.fitted = this.fitted && show.plan === "";
      show.plan = plan;
    }
    const now = this.clock();
    show.units.place(side, show.radii, known ? now : null);
    if (known) this.lit = now;
  }

  private wire(show: Show, side: Side, index: number): void {
    const { edges } = side;
    const changes = this.store.changes.filter((c) => c.side === index);
    const now = this.clock();
    show.slowest = edges.delay.reduce((a, b) => Math.max(a, b), 1);
    show.drawn = edges.drawn;
    if (show.synapses.shown === edges.dst) {
      for (const { change } of changes) show.synapses.touch(edges, change.slots, change.born, now);
    } else {
      show.synapses.set(edges);
      show.ghosts.clear();
    }
    for (const { change } of changes) {
      if (change.gone.length > 0) show.ghosts.add(change.gone, now);
      if (change.gone.length + change.born.length > 0) this.lit = now;
    }
  }

  private flag(show: Show, side: Side, index: number): void {
    const own = this.store.side === index;
    const picked = own ? this.store.selected : [];
    const silenced = this.store.state?.silenced ?? [];
    const src: number[] = [];
    const dst: number[] = [];
    const tone: number[] = [];
    const strength: number[] = [];
    const add = (a: number, b: number, t: number, w: number): void => {
      src.push(a);
      dst.push(b);
      tone.push(t);
      strength.push(w);
    };
    const { selection } = side;
    if (picked.length > 0 && selection !== null && String(selection.units) === String(picked)) {
      const unit = picked.at(-1)!; // which the server tells of
      const most = largest(selection.inWeight, selection.outWeight);
      const two = picked.length === 2 ? 0.5 : 1;
      selection.inUnit.forEach((u, i) => add(u, unit, 0, (two * selection.inWeight[i]!) / most));
      selection.outUnit.forEach((u, i) => add(unit, u, 1, (two * selection.outWeight[i]!) / most));
      for (let i = 0; i + 1 < selection.path.length; i++) add(selection.path[i]!, selection.path[i + 1]!, 2, 2);
    } else if (picked.length > 0) {
      const { edges } = side;
      const unit = picked.at(-1)!;
      for (let i = 0; i < edges.slots; i++) {
        const to = edges.dst[i]!;
        if (to === FREE) continue;
        if (to === unit) add(edges.src[i]!, to, 0, edges.weight[i]! / 127);
        else if (edges.src[i] === unit) add(edges.src[i]!, to, 1, edges.weight[i]! / 127);
      }
    }
    const partners = picked.length === 0 ? null : new Set([...src, ...dst, ...picked]);
    show.units.mark(side, this.look, picked, this.hovered?.side === index ? this.hovered.unit : null, silenced, partners);
    const n = src.length;
    const zeros = new Uint8Array(n);
    show.picked.set({
      src: Uint32Array.from(src),
      dst: Uint32Array.from(dst),
      weight: Int8Array.from(strength, (w) => Math.max(-127, Math.min(127, 127 * w))),
      delay: zeros,
      age: zeros,
      projection: Uint8Array.from(tone),
    });
  }

  private bound(): void {
    this.box.low.setScalar(Infinity);
    this.box.high.setScalar(-Infinity);
    const p = new Vector3();
    for (const side of this.store.sides) {
      for (let i = 0; i < side.count; i++) {
        if (side.exists[i] === 0) continue;
        p.fromArray(side.position, 3 * i);
        this.box.low.min(p);
        this.box.high.max(p);
      }
    }
    if (!Number.isFinite(this.box.low.x)) {
      this.box.low.setScalar(0);
      this.box.high.setScalar(1);
    }
  }

  /** The cut and the ball, as they are now. */
  private aid(): void {
    const { cut, ball } = this.look;
    const { low, high } = this.box;
    this.plane.visible = cut !== null;
    if (cut === null) this.uniforms.cut.value.copy(NO_CUT);
    else {
      const normal = new Vector3().setComponent(cut.axis, 1);
      const margin = 1e-3 + 1e-3 * low.distanceTo(high);
      const where = low.getComponent(cut.axis) - margin + cut.at * (high.getComponent(cut.axis) - low.getComponent(cut.axis) + 2 * margin);
      this.uniforms.cut.value.set(normal.x, normal.y, normal.z, where);
      const [u, v] = [0, 1, 2].filter((axis) => axis !== cut.axis) as [number, number];
      const corners = [[low, low], [high, low], [high, high], [low, high]] as const;
      const points = corners.map(([a, b]) =>
        new Vector3().setComponent(cut.axis, where).setComponent(u, a.getComponent(u)).setComponent(v, b.getComponent(v)),
      );
      this.plane.geometry.dispose();
      this.plane.geometry = new BufferGeometry().setFromPoints(points);
    }
    const side = this.store.sides[this.store.side];
    const { picked } = this.store;
    this.ball.visible = ball !== null && picked !== undefined && side !== undefined;
    if (this.ball.visible && ball !== null) {
      this.ball.position.copy(at(side!, picked!));
      this.ball.scale.setScalar(ball);
    }
  }

  private recolour(): void {
    paint(this.uniforms, theme());
    const palette = PALETTES[theme()];
    this.renderer.setClearColor(colour(palette.paper), 1);
    (this.plane.material as LineBasicMaterial).color.copy(colour(palette.quiet));
    (this.ball.material as LineBasicMaterial).color.copy(colour(palette.warn));
  }

  /** From where a network is looked at first: layers from left to right, and sheets the right way round. */
  private outlook(): Vector3 {
    const extent = this.box.high.clone().sub(this.box.low);
    const most = Math.max(extent.x, extent.y, extent.z);
    if (extent.z < 0.02 * most) return new Vector3(0, 0, 1);
    const deep = extent.z > 0.8 * Math.max(extent.x, extent.y);
    const narrow = this.camera.aspect < 1.2;
    return (deep ? (narrow ? new Vector3(-0.7, 0.46, 0.7) : new Vector3(-0.86, 0.3, 0.62)) : new Vector3(-0.45, 0.32, 0.85)).normalize();
  }

  /** Put the camera where all units just fit, looking along a direction. */
  private frameUp(way: Vector3, glide: boolean): void {
    const right = new Vector3().crossVectors(new Vector3(0, 1, 0), way).normalize();
    if (right.lengthSq() < 0.5) right.set(1, 0, 0);
    const up = new Vector3().crossVectors(way, right);
    const target = this.box.low.clone().add(this.box.high).multiplyScalar(0.5);
    const tall = Math.tan((FIELD * Math.PI) / 360) * 0.83;
    const wide = tall * this.camera.aspect;
    let far = 0;
    // Seen from a distance, what is near looks larger: the middle of the picture is found by turns.
    for (let turn = 0; turn < 6; turn++) {
      let [left, top, bottom, rightmost] = [Infinity, -Infinity, Infinity, -Infinity];
      let need = 0;
      const p = new Vector3();
      for (const side of this.store.sides) {
        const stride = Math.max(1, Math.floor(side.count / 20000));
        for (let i = 0; i < side.count; i += stride) {
          if (side.exists[i] === 0) continue;
          p.fromArray(side.position, 3 * i).sub(target);
          const [x, y, z] = [p.dot(right), p.dot(up), p.dot(way)];
          need = Math.max(need, Math.abs(x) / wide + z, Math.abs(y) / tall + z);
          if (far > 0) {
            const depth = Math.max(far - z, 1e-3);
            left = Math.min(left, x / depth);
            rightmost = Math.max(rightmost, x / depth);
            bottom = Math.min(bottom, y / depth);
            top = Math.max(top, y / depth);
          }
        }
      }
      if (far > 0) {
        target.addScaledVector(right, (far * (left + rightmost)) / 2);
        target.addScaledVector(up, (far * (top + bottom)) / 2);
      }
      far = Math.max(need, 1e-2);
    }
    this.home = far;
    this.move(target, target.clone().addScaledVector(way, far), glide);
  }

  private move(target: Vector3, eye: Vector3, glide: boolean): void {
    if (glide && !calm()) {
      this.glide = { from: [this.controls.target.clone(), this.camera.position.clone()], to: [target, eye], start: performance.now() };
    } else {
      this.glide = null;
      this.controls.target.copy(target);
      this.camera.position.copy(eye);
    }
    this.ask();
  }

  private size(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width === 0 || height === 0) return;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    const [rect] = this.rects();
    this.camera.aspect = rect!.width / rect!.height;
    this.camera.updateProjectionMatrix();
  }

  private draw(now: number): boolean {
    const before = this.shows.length;
    this.sync();
    if (this.shows.length !== before) this.size();
    let again = this.step(now);
    if (!this.due && !again) return false;
    if (!filmed()) this.pace.begin(again || this.dragged, this.shows.reduce((n, show) => n + show.drawn, 0));
    const ratio = this.renderer.getPixelRatio();
    const rects = this.rects();
    const full = this.host.clientHeight;
    const distance = this.camera.position.distanceTo(this.controls.target);
    const reach = this.box.low.distanceTo(this.box.high) / 2;
    this.camera.near = Math.max(distance / 200, distance - 4 * reach);
    this.camera.far = distance + 4 * reach + 1;
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
    this.uniforms.time.value = this.clock();
    this.uniforms.still.value = calm();
    this.uniforms.ratio.value = ratio;
    this.uniforms.view.value.set(rects[0]!.width * ratio, rects[0]!.height * ratio);
    this.uniforms.scale.value = (rects[0]!.height * ratio) / (2 * Math.tan((FIELD * Math.PI) / 360));
    this.uniforms.haze.value.set(Math.max(distance - 0.5 * reach, 0), distance + 1.6 * reach);
    this.renderer.setScissorTest(false);
    this.renderer.clear();
    this.shows.forEach((show, i) => {
      const rect = rects[i]!;
      this.inked(show, i, distance, rect.width * rect.height);
      again = show.ghosts.age(this.clock()) || again;
      this.renderer.setViewport(rect.x, full - rect.y - rect.height, rect.width, rect.height);
      this.renderer.setScissor(rect.x, full - rect.y - rect.height, rect.width, rect.height);
      this.renderer.setScissorTest(true);
      this.renderer.render(show.root, this.camera);
      if (this.plane.visible || (this.ball.visible && i === this.store.side)) this.renderer.render(this.aids, this.camera);
    });
    this.labels.place(this.store, this.look, this.shows.map((s) => s.radii), this.camera, rects, this.uniforms.cut.value);
    this.due = again || this.clock() - this.lit < FLASHES;
    const gl = this.renderer.getContext() as WebGL2RenderingContext;
    gl.deleteSync(this.fence);
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return this.due;
  }

  /** Whether the last picture is still being drawn. */
  private busy(): boolean {
    if (this.fence === null) return false;
    const gl = this.renderer.getContext() as WebGL2RenderingContext;
    if (gl.getSyncParameter(this.fence, gl.SYNC_STATUS) === gl.UNSIGNALED) return true;
    gl.deleteSync(this.fence);
    this.fence = null;
    this.pace.end();
    return false;
  }

  /** How lines look: the more there are to a pixel, the fainter; the picked unit's stand out. */
  private inked(show: Show, index: number, distance: number, area: number): void {
    const { texture } = show.places;
    const near = Math.min(1, distance / this.home);
    const { share } = this.pace;
    const seen = Math.max(1, (share * show.drawn * near * near * TYPICAL) / area);
    const light = theme() === "light" ? 0.6 : 1;
    const alpha = Math.min(0.85, Math.max(0.02, light * 26 * seen ** -0.52));
    const picked = index === this.store.side && this.store.selected.length > 0;
    show.synapses.look(texture, {
      ink: this.look.ink,
      width: seen > 30000 ? 0.8 : 1.15,
      alpha: picked ? Math.max(0.015, 0.12 * alpha) : alpha,
      slowest: show.slowest,
      share,
    });
    show.picked.look(texture, { ink: "tone", width: 1.6, alpha: 0.85 });
    show.ghosts.lines.look(texture, { ink: "tone", width: 1.3, alpha: 0.8 });
  }

  private step(now: number): boolean {
    // What glides on by a share of its way a picture would do so for long where pictures are slow.
    this.controls.enableDamping = !calm() && this.pace.took < SLOW;
    if (this.glide === null) return this.controls.update();
    const t = Math.min(1, (now - this.glide.start) / GLIDE);
    const k = t * t * (3 - 2 * t);
    this.controls.target.lerpVectors(this.glide.from[0], this.glide.to[0], k);
    this.camera.position.lerpVectors(this.glide.from[1], this.glide.to[1], k);
    if (t === 1) this.glide = null;
    this.controls.update();
    return true;
  }

  /** The unit at a place of the canvas: of those under it the nearest to the eye, or else the one that is least beside it. */
  private hit(x: number, y: number): Hit | null {
    const rects = this.rects();
    const index = rects.findIndex((r) => x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height);
    const side = this.store.sides[index];
    const rect = rects[index];
    if (side === undefined || rect === undefined) return null;
    const m = this.camera.projectionMatrix.clone().multiply(this.camera.matrixWorldInverse).elements;
    const [cx, cy, cz, cw] = this.uniforms.cut.value.toArray();
    const scale = rect.height / (2 * Math.tan((FIELD * Math.PI) / 360));
    const sizes = this.shows[index]!.radii;
    let found: number | null = null;
    let best = Infinity;
    for (let i = 0; i < side.count; i++) {
      if (!visible(side, this.look, i)) continue;
      const a = side.position[3 * i]!;
      const b = side.position[3 * i + 1]!;
      const c = side.position[3 * i + 2]!;
      const w = m[3] * a + m[7] * b + m[11] * c + m[15];
      if (w <= 0 || cx * a + cy * b + cz * c > cw) continue;
      const px = rect.x + (0.5 + (0.5 * (m[0] * a + m[4] * b + m[8] * c + m[12])) / w) * rect.width;
      const py = rect.y + (0.5 - (0.5 * (m[1] * a + m[5] * b + m[9] * c + m[13])) / w) * rect.height;
      const far = Math.hypot(px - x, py - y);
      const disc = Math.max((sizes[i]! * scale) / w, 2);
      if (far > disc + 6) continue;
      // Under the pointer depth decides; beside it, by how far.
      const rank = far <= disc ? w * 1e-6 : 1 + far - disc;
      if (rank < best) [best, found] = [rank, i];
    }
    return found === null ? null : { side: index, unit: found };
  }

  dispose(): void {
    this.renderer.dispose();
    this.aids.traverse((o: Object3D) => ((o as { material?: Material }).material?.dispose()));
  }
}

function at(side: Side, unit: number): Vector3 {
  return new Vector3().fromArray(side.position, 3 * unit);
}

function colour([r, g, b]: Rgb): Color {
  return new Color().setRGB(r / 255, g / 255, b / 255, SRGBColorSpace);
}

function largest(...lists: Float32Array[]): number {
  let most = 1e-12;
  for (const list of lists) for (const w of list) most = Math.max(most, Math.abs(w));
  return most;
}

/** Three rings that stand for a ball of radius one. */
function rings(): BufferGeometry {
  const points: number[] = [];
  const parts = 72;
  for (let axis = 0; axis < 3; axis++) {
    for (let i = 0; i < parts; i++) {
      for (const k of [i, i + 1]) {
        const angle = (2 * Math.PI * k) / parts;
        const p = [Math.cos(angle), Math.sin(angle)];
        p.splice(axis, 0, 0);
        points.push(...p);
      }
    }
  }
  return new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
}
