// A short list under its button: type to narrow it down, arrows and Enter to choose, Escape to leave.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon, type IconName } from "../../kit/icons";
import { rank } from "../palette/fuzzy";
import { say } from "../strings/say";

export interface Choice {
  id: string;
  title: string;
  detail?: string;
  icon?: IconName;
}

export interface PickerProps {
  label: string;
  choices: readonly Choice[];
  choose: (id: string) => void;
  close: () => void;
  /** Makes a choice of what was typed, where it needs not be one of the list. */
  typed?: (text: string) => Choice | null;
  children?: ComponentChildren;
}

export function Picker({ label, choices, choose, close, typed, children }: PickerProps) {
  const id = useId();
  const query = useSignal("");
  const at = useSignal(0);
  const box = useFocusWithin(close);
  const fitting = rank(query.value, choices, (choice) => `${choice.title} ${choice.detail ?? ""}`);
  const own = fitting.some((choice) => choice.title === query.value.trim()) ? null : (typed?.(query.value) ?? null);
  const shown = own && query.value.trim() ? [...fitting, own] : fitting;
  const chosen = shown[Math.min(at.value, shown.length - 1)];
  const pick = (choice: Choice) => {
    close();
    choose(choice.id);
  };
  useEffect(() => {
    if (chosen) document.getElementById(`${id}-${chosen.id}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen?.id]);
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) at.value = (Math.min(at.value, shown.length - 1) + step + shown.length) % Math.max(1, shown.length);
    else if (event.key === "Enter" && chosen) pick(chosen);
    else return;
    event.preventDefault();
  };
  return (
    <div class="picker" ref={box}>
      <input
        class="field"
        role="combobox"
        dir="auto"
        autocomplete="off"
        spellcheck={false}
        aria-label={label}
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={chosen && `${id}-${chosen.id}`}
        placeholder={label}
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={onKey}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={label}>
        {shown.map((choice) => (
          <li
            key={choice.id}
            id={`${id}-${choice.id}`}
            class="offer"
            role="option"
            aria-selected={choice === chosen}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => pick(choice)}
          >
            {choice.icon && <Icon name={choice.icon} />}
            <bdi class="words">{choice.title}</bdi>
            {choice.detail && <span class="second aside">{choice.detail}</span>}
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="second" role="status">{say("panel.nothing_fits")}</p>}
      {children}
    </div>
  );
}

/** Takes the focus into the box, closes when it leaves or with Escape, and gives it back to where it was. */
function useFocusWithin(close: () => void) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    const before = document.activeElement;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      close();
    };
    // A picture of the list stays while the window itself is left: only another place in the page closes it.
    const onLeave = (event: FocusEvent) => {
      if (event.relatedTarget instanceof Node && !element?.contains(event.relatedTarget)) close();
    };
    const onPointer = (event: PointerEvent) => {
      const parent = element?.parentElement;
      if (event.target instanceof Node && !parent?.contains(event.target)) close();
    };
    element?.addEventListener("keydown", onKey);
    element?.addEventListener("focusout", onLeave);
    document.addEventListener("pointerdown", onPointer);
    element?.querySelector("input")?.focus();
    return () => {
      document.removeEventListener("pointerdown", onPointer);
      const hasFocus = document.activeElement === document.body || element?.contains(document.activeElement);
      if (hasFocus && before instanceof HTMLElement) before.focus();
    };
  }, []);
  return box;
}
