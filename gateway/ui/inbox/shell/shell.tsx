// The page: three columns, or one at a time where there is no room; what is offline, what can be undone.

import { useEffect } from "preact/hooks";
import { Icon } from "../../kit/icons";
import { Composer } from "../composer/composer";
import { List } from "../list/list";
import { Views } from "../list/views";
import { ConversationActions } from "../panel/actions_bar";
import { Panel } from "../panel/panel";
import { Palette } from "../palette/palette";
import { listenToKeys } from "../state/commands";
import { notice } from "../state/actions";
import { isConnected } from "../state/live";
import { open } from "../state/open";
import { go, place } from "../state/place";
import { logOut, me } from "../state/session";
import { Stream } from "../stream/stream";
import { SPOKEN, language, say } from "../strings/say";
import { registerCommands } from "./keys";
import { LogIn } from "./login";
import { THEMES, chooseLanguage, isPanelShown, theme } from "./preferences";

export function Shell() {
  useEffect(listenToKeys, []);
  useEffect(registerCommands, []);
  const title = open.value?.conversation.value?.contact.name;
  useEffect(() => {
    document.title = title ? `${title} - ${say("shell.title")}` : say("shell.title");
  }, [title, language.value]);
  if (me.value === undefined) return null;
  if (me.value === null) return <LogIn />;
  const isOpen = place.value.conversation !== null;
  return (
    <div class={`shell${isOpen ? " is-open" : ""}${isPanelShown.value && isOpen ? " with-panel" : ""}`}>
      <a class="skip" href="#stream">{say("shell.skip")}</a>
      {!isConnected.value && (
        <p class="offline" role="status">
          <Icon name="offline" /> {say("shell.offline")}
        </p>
      )}
      <nav class="side" aria-label={say("list.views")}>
        <Views />
        <Foot />
      </nav>
      <List />
      <main class="middle" id="stream" tabIndex={-1}>
        {isOpen ? <Conversation /> : <p class="choose second">{say("stream.choose")}</p>}
      </main>
      {isPanelShown.value && isOpen && <Panel />}
      <Notice />
      <Palette />
    </div>
  );
}

function Conversation() {
  const shown = open.value;
  if (!shown) return null;
  return (
    <>
      <div class="bar">
        <BackButton />
        <ConversationActions />
      </div>
      <Stream key={`stream-${shown.id}`} shown={shown} />
      <Composer key={`composer-${shown.id}`} shown={shown} />
    </>
  );
}

function Foot() {
  return (
    <div class="foot">
      <p class="second" dir="auto">{me.value?.agent?.name}</p>
      <label>
        <span class="unseen">{say("shell.theme")}</span>
        <select class="field" value={theme.value} onChange={(event) => (theme.value = THEMES.find((one) => one === event.currentTarget.value) ?? "auto")}>
          {THEMES.map((one) => (
            <option key={one} value={one}>{say(`shell.theme_${one}`)}</option>
          ))}
        </select>
      </label>
      <label hidden={SPOKEN.length < 2}>
        <span class="unseen">{say("shell.language")}</span>
        <select class="field" value={language.value} onChange={(event) => chooseLanguage(event.currentTarget.value)}>
          {SPOKEN.map((one) => (
            <option key={one} value={one} lang={one}>{new Intl.DisplayNames([one], { type: "language" }).of(one)}</option>
          ))}
        </select>
      </label>
      <button class="button quiet" onClick={() => void logOut()}>{say("shell.log_out")}</button>
    </div>
  );
}

function Notice() {
  const told = notice.value;
  return (
    <div class={told ? `notice${told.isError ? " is-error" : ""}` : "notice is-empty"} role="status">
      {told && (
        <>
          <span>{told.text}</span>
          {told.undo && <button class="button quiet" onClick={told.undo}>{say("shell.undo")} <kbd>u</kbd></button>}
          <button class="button quiet" onClick={() => (notice.value = null)}>
            <Icon name="close" label={say("shell.dismiss")} />
          </button>
        </>
      )}
    </div>
  );
}

/** Leaves the conversation for the list; on a phone that is the way back. */
function BackButton() {
  return (
    <button class="button quiet back" onClick={() => go({ conversation: null })}>
      <Icon name="back" label={say("shell.back")} />
    </button>
  );
}
