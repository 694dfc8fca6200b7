// The customers' side as the sandbox keeps it: who one is, what stands on their devices, what goes wrong.

import { computed, signal } from "@preact/signals";
import { ApiError, get, request } from "../kit/api";

export type Channel = "email" | "sms" | "whatsapp" | "webchat";

export interface Customer {
  id: string;
  name: string;
  language: string;
  addresses: Record<Channel, string | null>;
  identity: string;
}

export interface Sandbox {
  shop: string;
  channels: Record<Channel, { address: string | null; url: string }>;
  customers: Customer[];
}

/** One message on a device; `inbound` is the shop's word for what the customer wrote. */
export interface Message {
  channel: Channel;
  at: string;
  external_id: string;
  text: string;
  subject: string | null;
  status: string | null;
  files: string[];
  direction: "inbound" | "outbound";
}

export interface Switch {
  id: string;
  place: string;
  is_on: boolean;
}

export const sandbox = signal<Sandbox | null>(null);
export const customerId = signal(localStorage.getItem("sandbox.customer") ?? "c-1");
export const thread = signal<Message[]>([]);
export const switches = signal<Switch[]>([]);
export const trouble = signal<string | null>(null);

export const customer = computed(() => sandbox.value?.customers.find((one) => one.id === customerId.value) ?? null);

/** Says what went wrong while `work` ran, and forgets it when something works again. */
export async function attempt<T>(work: Promise<T>): Promise<T | null> {
  try {
    const result = await work;
    trouble.value = null;
    return result;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    trouble.value = error.status === 0 ? "The gateway can't be reached. This page goes on by itself." : error.message;
    return null;
  }
}

export async function loadSandbox(): Promise<void> {
  sandbox.value = (await attempt(get<Sandbox>("/sandbox/state"))) ?? sandbox.value;
  switches.value = (await attempt(get<{ items: Switch[] }>("/sandbox/switches")))?.items ?? switches.value;
}

export async function loadThread(): Promise<void> {
  const wanted = customerId.value;
  const found = await attempt(get<{ items: Message[] }>("/sandbox/thread", { customer: wanted }));
  if (found && wanted === customerId.value && isNew(found.items)) thread.value = found.items;
}

function isNew(items: Message[]): boolean {
  return JSON.stringify(items) !== JSON.stringify(thread.value);
}

export function become(id: string): void {
  localStorage.setItem("sandbox.customer", id);
  customerId.value = id;
  thread.value = [];
  void loadThread();
}

export interface Written {
  channel: Channel;
  text: string;
  subject?: string;
  picture?: { filename: string; content_type: string; content: string };
}

/** Writes to the shop as the customer; true if the gateway took it. */
export async function write(written: Written): Promise<boolean> {
  const body = { customer: customerId.value, ...written };
  const taken = await attempt(request("POST", "/sandbox/messages", { body }));
  await loadThread();
  return taken !== null;
}

export async function turn(id: string, isOn: boolean): Promise<void> {
  const changed = switches.value.find((one) => one.id === id);
  // The reports follow one setting, so one of theirs goes off as another goes on.
  const stays = (one: Switch) => one.is_on && one.id !== id && !(isOn && one.place === "reports" && changed?.place === "reports");
  const on = switches.value.filter(stays).map((one) => one.id);
  const body = { on: isOn ? [...on, id] : on };
  const answer = await attempt(request<{ items: Switch[] }>("PUT", "/sandbox/switches", { body }));
  if (answer) switches.value = answer.items;
}

export async function readPicture(file: File): Promise<NonNullable<Written["picture"]>> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { filename: file.name.replace(/[\r\n/]/g, "_").slice(-100), content_type: file.type, content: btoa(text) };
}
