// Search over everything: conversations, contacts and orders; one question at a time, the last one counts.

import { type ReadonlySignal, computed, effect, signal } from "@preact/signals";
import type { AddressKind, ConversationView } from "../../generated/api";
import { ApiError, get } from "../../kit/api";
import { explain } from "./actions";

export interface FoundContact {
  id: string;
  name: string | null;
  language: string | null;
  addresses: readonly { kind: AddressKind; value: string }[];
}

export interface FoundOrder {
  id: string;
  number: string;
  status: string;
  placed_at: string;
  contact_id: string;
  contact_name: string | null;
}

export interface Found {
  conversations: readonly ConversationView[];
  contacts: readonly FoundContact[];
  orders: readonly FoundOrder[];
}

export const NOTHING: Found = { conversations: [], contacts: [], orders: [] };
const AFTER_MS = 120;

export interface Search {
  readonly query: { value: string };
  readonly found: ReadonlySignal<Found>;
  readonly isSearching: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<string | null>;
  stop(): void;
}

/** Starts a search that follows its `query`; what was found before stays until the next answer is there. */
export function startSearch(limit = 8): Search {
  const query = signal("");
  const found = signal<Found>(NOTHING);
  const isSearching = signal(false);
  const problem = signal<string | null>(null);
  const asked = computed(() => query.value.trim());
  const stop = effect(() => {
    const q = asked.value;
    problem.value = null;
    if (!q) {
      found.value = NOTHING;
      isSearching.value = false;
      return;
    }
    isSearching.value = true;
    const request = new AbortController();
    const timer = setTimeout(() => void ask(q, request), AFTER_MS);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  });

  async function ask(q: string, request: AbortController): Promise<void> {
    try {
      const answer = await get<Found>("/v1/search", { q, limit }, request.signal);
      if (!request.signal.aborted) found.value = answer;
    } catch (error) {
      if (request.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      found.value = NOTHING;
      problem.value = explain(error);
    } finally {
      if (!request.signal.aborted) isSearching.value = false;
    }
  }

  return { query, found, isSearching, problem, stop };
}
