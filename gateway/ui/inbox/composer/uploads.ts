// Files on their way into an answer.

import { signal } from "@preact/signals";
import type { AttachmentView } from "../../generated/api";
import { ApiError, request } from "../../kit/api";
import { tell } from "../state/actions";
import { say } from "../strings/say";

export interface Upload {
  key: number;
  name: string;
  /** What the gateway made of it; null while it is on its way. */
  file: AttachmentView | null;
}

let keys = 0;

export class Uploads {
  readonly all = signal<readonly Upload[]>([]);

  /** Uploads files; one that is refused is told of and left out. */
  async add(files: readonly File[]): Promise<void> {
    await Promise.all(files.map((file) => this.upload(file)));
  }

  private async upload(file: File): Promise<void> {
    const one: Upload = { key: ++keys, name: file.name || "file", file: null };
    this.all.value = [...this.all.value, one];
    try {
      const query = { filename: one.name };
      const kept = await request<AttachmentView>("POST", "/v1/attachments", { query, file });
      this.all.value = this.all.value.map((other) => (other.key === one.key ? { ...one, file: kept } : other));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.remove(one.key);
      tell({ text: say("composer.file_refused", { name: one.name, reason: error.message }), isError: true });
    }
  }

  remove(key: number): void {
    this.all.value = this.all.value.filter((one) => one.key !== key);
  }

  get isBusy(): boolean {
    return this.all.value.some((one) => one.file === null);
  }

  take(): string[] {
    const ids = this.all.value.flatMap((one) => (one.file ? [one.file.id] : []));
    this.all.value = [];
    return ids;
  }
}
