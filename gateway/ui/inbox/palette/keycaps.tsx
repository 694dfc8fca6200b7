// A shortcut as it stands on the keyboard.

import { keyCaps } from "./keys";

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** Shows keys beside what they do; a screen reader hears of them by `aria-keyshortcuts` instead. */
export function KeyCaps({ keys }: { keys: string }) {
  return (
    <span class="keycaps" aria-hidden="true" dir="ltr">
      {keyCaps(keys, isMac).map((stroke, at) => (
        <span key={at}>
          {stroke.map((cap) => (
            <kbd key={cap}>{cap}</kbd>
          ))}
        </span>
      ))}
    </span>
  );
}
