// The files of a message: pictures shown, everything else a row that downloads.

import type { AttachmentView } from "../../generated/api";
import { fileSize } from "../../kit/format";
import { Icon } from "../../kit/icons";
import { language, say } from "../strings/say";

const SHOWN = /^image\/(png|jpeg|gif|webp)$/;

export function Files({ files }: { files: readonly AttachmentView[] }) {
  if (!files.length) return null;
  return (
    <ul class="files">
      {files.map((file) => (
        <li key={file.id}>
          <File file={file} />
        </li>
      ))}
    </ul>
  );
}

function File({ file }: { file: AttachmentView }) {
  if (!file.url) {
    const word = file.state === "failed" ? say("stream.file_failed") : say("stream.file_pending");
    return (
      <span class="file second">
        <Icon name="file" /> <span dir="auto">{file.filename}</span> {word}
      </span>
    );
  }
  // A link of ours under whatever name the page is reached by.
  const path = new URL(file.url).pathname;
  if (SHOWN.test(file.content_type)) {
    return (
      <a href={path} target="_blank" rel="noopener">
        <img class="picture" src={path} alt={file.filename} loading="lazy" />
      </a>
    );
  }
  return (
    <a class="file" href={path} download>
      <Icon name="file" /> <span dir="auto">{file.filename}</span>
      {file.size !== null && <span class="second"> {fileSize(file.size, language.value)}</span>}
    </a>
  );
}
