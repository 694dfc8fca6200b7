import { render } from "preact";
import { say, speak } from "./strings/say";

await speak(navigator.languages);
const place = document.getElementById("app");
if (place) render(<h1>{say("shell.title")}</h1>, place);
