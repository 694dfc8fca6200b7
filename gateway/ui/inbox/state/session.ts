// Who works here: the agent that this browser is logged in as.

import { computed, signal } from "@preact/signals";
import type { Me, SessionView } from "../../generated/api";
import { ApiError, get, request } from "../../kit/api";

const answer = signal<Me | null | undefined>(undefined);

/** The agent and what they may do; null: not logged in; undefined: not known yet. */
export const me = computed(() => answer.value);
export const agentId = computed(() => answer.value?.agent?.id ?? null);

/** Asks who this is. A gateway that can't be reached leaves it as it was. */
export async function loadMe(): Promise<void> {
  try {
    answer.value = await get<Me>("/v1/me");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) answer.value = null;
    else if (answer.value === undefined) setTimeout(() => void loadMe(), 1000);
  }
}

export async function logIn(email: string, password: string): Promise<void> {
  await request<SessionView>("POST", "/v1/session", { body: { email, password } });
  await loadMe();
}

/** Logs the demo's agent in; there is no such thing outside of demo mode. */
export async function logInToDemo(): Promise<void> {
  await request("POST", "/sandbox/session", { body: {} });
  await loadMe();
}

export const isDemo = document.documentElement.hasAttribute("data-demo");

export async function logOut(): Promise<void> {
  await request("DELETE", "/v1/session");
  answer.value = null;
}

/** The session has ended on the other side. */
export function forget(): void {
  answer.value = null;
}
