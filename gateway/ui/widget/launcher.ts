// `<script src=".../chat/widget.js">`: the button, and nothing else. Until it is clicked there is no request, no socket,
// no frame and no cookie. The panel comes with the first click.

import { directionOf, pickLanguage } from "../kit/language";
import { WORDS } from "./launcher_words";
import css from "./launcher.css?inline";
import type { ChatEvent, PanelHandle, PanelHost } from "./protocol";

declare const PANEL_FILE: string;

type Listener = (detail: unknown) => void;

const script = document.currentScript as HTMLScriptElement | null;
const address = new URL(script?.src ?? location.href);

class Launcher extends HTMLElement {
  private readonly listeners = new Map<ChatEvent, Set<Listener>>();
  private readonly button = document.createElement("button");
  private readonly badge = document.createElement("span");
  private readonly trouble = document.createElement("p");
  private readonly shadow = this.attachShadow({ mode: "open" });
  private panel: Promise<PanelHandle> | null = null;
  private identity: string | null = null;
  private isOpen = false;

  connectedCallback(): void {
    if (this.button.isConnected) return;
    const [open] = this.words();
    this.lang = this.language();
    this.dir = directionOf(this.language());
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    this.shadow.adoptedStyleSheets = [sheet];
    this.button.className = "launcher";
    this.button.type = "button";
    this.button.setAttribute("aria-expanded", "false");
    const label = document.createElement("span");
    label.textContent = open;
    this.badge.className = "badge";
    this.badge.hidden = true;
    this.trouble.className = "trouble";
    this.trouble.setAttribute("role", "status");
    this.button.append(icon(), label, this.badge);
    this.button.addEventListener("click", () => this.open());
    this.shadow.append(this.trouble, this.button);
  }

  private language(): string {
    const asked = this.getAttribute("language");
    return pickLanguage([...(asked ? [asked] : []), document.documentElement.lang, ...navigator.languages].filter(Boolean));
  }

  private words(): readonly [string, string] {
    return WORDS[this.language()] ?? (WORDS["en"] as readonly [string, string]);
  }

  open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.trouble.textContent = "";
    this.panel ??= this.load();
    this.panel.then(
      (panel) => {
        if (!this.isOpen) return;
        panel.show();
        this.button.hidden = true;
        this.button.setAttribute("aria-expanded", "true");
        this.emit("open", null);
      },
      () => {
        this.panel = null;
        this.isOpen = false;
        this.trouble.textContent = this.words()[1];
      },
    );
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    void this.panel?.then((panel) => panel.hide());
    this.button.hidden = false;
    this.button.setAttribute("aria-expanded", "false");
    this.button.focus();
    this.emit("close", null);
  }

  identify(identity: string): void {
    this.identity = identity;
    void this.panel?.then((panel) => panel.identify(identity));
  }

  on(event: ChatEvent, listener: Listener): () => void {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(listener));
    return () => void all.delete(listener);
  }

  destroy(): void {
    void this.panel?.then((panel) => panel.destroy());
    this.remove();
  }

  private async load(): Promise<PanelHandle> {
    const module = (await import(/* @vite-ignore */ new URL(PANEL_FILE, address).href)) as { mount: (host: PanelHost) => Promise<PanelHandle> };
    return module.mount({
      root: this.shadow,
      origin: address.origin,
      language: this.language(),
      identity: this.identity,
      emit: (event, detail) => this.emit(event, detail),
      close: () => this.close(),
      setUnread: (count) => this.setUnread(count),
    });
  }

  private emit(event: ChatEvent, detail: unknown): void {
    for (const listener of this.listeners.get(event) ?? []) listener(detail);
  }

  private setUnread(count: number): void {
    this.badge.hidden = count === 0;
    this.badge.textContent = new Intl.NumberFormat(this.language()).format(count);
    this.emit("unread", count);
  }
}

function icon(): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "M2 3h12v8H7l-3 2.500V11H2z");
  svg.append(path);
  return svg;
}

if (!customElements.get("gateway-chat")) customElements.define("gateway-chat", Launcher);

const element = document.createElement("gateway-chat") as Launcher;
for (const name of ["language", "position"]) {
  const value = script?.dataset[name];
  if (value) element.setAttribute(name, value);
}
const add = () => document.body.append(element);
if (document.body) add();
else document.addEventListener("DOMContentLoaded", add);

// The page's own way to the chat.
Object.assign(window, {
  GatewayChat: {
    open: () => element.open(),
    close: () => element.close(),
    identify: (identity: string) => element.identify(identity),
    on: (event: ChatEvent, listener: Listener) => element.on(event, listener),
    destroy: () => element.destroy(),
  },
});
