// What the launcher and the panel say to each other; the launcher knows nothing of the panel but this.

export type ChatEvent = "open" | "close" | "message" | "unread";

export interface PanelHost {
  root: ShadowRoot;
  /** Where the gateway is, without a slash at the end. */
  origin: string;
  language: string;
  identity: string | null;
  emit: (event: ChatEvent, detail: unknown) => void;
  close: () => void;
  setUnread: (count: number) => void;
}

export interface PanelHandle {
  identify: (identity: string) => void;
  show: () => void;
  hide: () => void;
  destroy: () => void;
}
