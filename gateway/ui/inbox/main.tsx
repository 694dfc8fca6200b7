// `/`: the agents' inbox.

import { effect } from "@preact/signals";
import { render } from "preact";
import { Shell } from "./shell/shell";
import { preferredLanguages } from "./shell/preferences";
import { connect, disconnect } from "./state/live";
import { loadMe, me } from "./state/session";
import { loadPeople } from "./state/views";
import { speak } from "./strings/say";

await Promise.all([speak(preferredLanguages()), loadMe()]);
effect(() => {
  if (!me.value) {
    disconnect();
    return;
  }
  connect();
  void loadPeople();
});
const place = document.getElementById("app");
if (place) render(<Shell />, place);
