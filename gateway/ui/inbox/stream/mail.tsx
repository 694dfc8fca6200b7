// A mail as it was laid out: in a frame where nothing runs, as tall as what is in it.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { MessageView } from "../../generated/api";
import { say } from "../strings/say";

const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
const MOST_PX = 20_000;

export function Mail({ message }: { message: MessageView }) {
  const withImages = useSignal(false);
  const height = useSignal(120);
  const frame = useRef<HTMLIFrameElement>(null);
  const hasRemote = message.html?.includes("data-src=") ?? false;
  const measure = () => {
    const page = frame.current?.contentDocument;
    if (!page) return;
    const fit = () => (height.value = Math.min(MOST_PX, page.documentElement.scrollHeight));
    fit();
    new ResizeObserver(fit).observe(page.body);
  };
  return (
    <>
      {hasRemote && !withImages.value && (
        <button class="button quiet small" onClick={() => (withImages.value = true)}>{say("stream.show_images")}</button>
      )}
      <iframe
        class="mail"
        ref={frame}
        title={say("stream.layout_of")}
        sandbox={SANDBOX}
        referrerpolicy="no-referrer"
        src={`/v1/messages/${message.id}/html${withImages.value ? "?images=true" : ""}`}
        style={{ height: height.value }}
        onLoad={measure}
      />
    </>
  );
}
