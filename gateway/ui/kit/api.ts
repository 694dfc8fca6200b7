// Requests to our own API: JSON in and out, problems as errors, one Idempotency-Key for each thing the agent does.

import type { Problem } from "../generated/api";

/** What the gateway answered instead of a result; `status` 0: it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail ?? problem.title ?? "The gateway can't be reached.");
  }

  /** True where the same request may work later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Options {
  query?: Query;
  body?: unknown;
  file?: Blob;
  signal?: AbortSignal;
  /** The same key again is the same request: it is done once. Every write without one gets one of its own. */
  key?: string;
}

/** Sends one request; `T` is what the description of the API says of the answer. */
export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = {};
  const init: RequestInit = { method, headers, credentials: "same-origin", signal: options.signal ?? null };
  if (method !== "GET") headers["Idempotency-Key"] = options.key ?? crypto.randomUUID();
  if (options.file) {
    headers["Content-Type"] = options.file.type || "application/octet-stream";
    init.body = options.file;
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  let answer: Response;
  try {
    answer = await fetch(path + queryString(options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, {});
  }
  if (!answer.ok) throw new ApiError(answer.status, await readProblem(answer));
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

function queryString(query: Query | undefined): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return pairs.length ? `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}` : "";
}

async function readProblem(answer: Response): Promise<Partial<Problem>> {
  try {
    return (await answer.json()) as Partial<Problem>;
  } catch {
    return { title: answer.statusText };
  }
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) =>
  request<T>("GET", path, { ...(query && { query }), ...(signal && { signal }) });
export const post = <T>(path: string, body?: unknown, key?: string) =>
  request<T>("POST", path, { body, ...(key && { key }) });
export const put = <T>(path: string, body: unknown) => request<T>("PUT", path, { body });
