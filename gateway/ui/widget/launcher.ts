declare const PANEL_FILE: string;
const script = document.currentScript as HTMLScriptElement | null;
if (script) void new URL(PANEL_FILE, script.src);
