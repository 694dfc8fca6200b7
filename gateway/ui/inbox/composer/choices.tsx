// A list that opens above a field while a word is typed, and is walked through without leaving the field.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Choice {
  key: string;
  title: string;
  text: string;
}

interface Props {
  items: readonly Choice[];
  label: string;
  choose: (text: string) => void;
  children: ComponentChildren;
}

export function Choices({ items, label, choose, children }: Props) {
  const at = useSignal(0);
  const dismissed = useSignal("");
  const id = useId();
  const shape = items.map((item) => item.key).join();
  const isOpen = items.length > 0 && dismissed.value !== shape;
  const here = Math.min(at.value, items.length - 1);
  const hear = (event: KeyboardEvent) => {
    if (!isOpen || event.ctrlKey || event.metaKey) return;
    const item = items[here];
    if (event.key === "ArrowDown") at.value = (here + 1) % items.length;
    else if (event.key === "ArrowUp") at.value = (here + items.length - 1) % items.length;
    else if ((event.key === "Enter" || event.key === "Tab") && item) {
      choose(item.text);
      at.value = 0;
    } else if (event.key === "Escape") dismissed.value = shape;
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="choosing" onKeyDownCapture={hear}>
      {isOpen && (
        <ul class="choices" id={id} role="listbox" aria-label={label}>
          {items.map((item, index) => (
            <li
              key={item.key}
              role="option"
              aria-selected={index === here}
              onMouseDown={(event) => {
                event.preventDefault();
                choose(item.text);
              }}
            >
              <strong dir="auto">{item.title}</strong> <span class="second" dir="auto">{item.text}</span>
            </li>
          ))}
        </ul>
      )}
      {children}
    </div>
  );
}
