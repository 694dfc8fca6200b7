// The panel: fetched with the first click, mounted into the launcher's shadow root.

import { render } from "preact";
import { directionOf, pickLanguage } from "../../kit/language";
import type { PanelHandle, PanelHost } from "../protocol";
import { loadWords } from "../strings/words";
import { Chat, loadConfig } from "./chat";
import css from "./panel.css?inline";
import { Panel } from "./view";

export async function mount(host: PanelHost): Promise<PanelHandle> {
  const language = pickLanguage([host.language]);
  const [words, config] = await Promise.all([loadWords(language), loadConfig(host.origin)]);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  host.root.adoptedStyleSheets = [...host.root.adoptedStyleSheets, sheet];
  const place = document.createElement("div");
  place.dir = directionOf(language);
  place.lang = language;
  host.root.append(place);
  const chat = new Chat({ ...host, language }, words, config);
  render(<Panel chat={chat} />, place);
  return {
    identify: (identity) => chat.line.identify(identity),
    show: () => chat.show(),
    hide: () => (chat.isShown.value = false),
    destroy: () => {
      chat.line.close();
      render(null, place);
      place.remove();
    },
  };
}
