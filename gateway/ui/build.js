// Builds the faces into dist/: pages/ (inbox and sandbox), chat/ (the widget). Each text file gets a .gz beside it.
//
//   dist/pages/inbox.html, sandbox.html, assets/*    served at /, /sandbox and /assets/; inbox-demo.html offers the demo's log-in
//   dist/chat/widget.js                              the launcher: a classic script, its name never changes
//   dist/chat/assets/panel-<hash>.js                 what it fetches on the first click

import { readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "vite";

const root = dirname(fileURLToPath(import.meta.url));
// Everything is built aside and put in place at the end, so that a failed or parallel build leaves no half of one.
const work = join(root, `.build-${process.pid}`);

const common = {
  root,
  configFile: false,
  logLevel: "warn",
  base: "./",
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
};
const output = { target: "es2022", sourcemap: false, emptyOutDir: false, reportCompressedSize: false, modulePreload: { polyfill: false }, assetsInlineLimit: 0 };

async function buildPages() {
  const outDir = join(work, "pages");
  await build({
    ...common,
    base: "/",
    build: { ...output, outDir, rollupOptions: { input: { inbox: join(root, "inbox/index.html"), sandbox: join(root, "sandbox/index.html") } } },
  });
  for (const page of ["inbox", "sandbox"]) await rename(join(outDir, page, "index.html"), join(outDir, `${page}.html`));
  for (const page of ["inbox", "sandbox"]) await rm(join(outDir, page), { recursive: true });
  const inbox = await readFile(join(outDir, "inbox.html"), "utf8");
  await writeFile(join(outDir, "inbox-demo.html"), inbox.replace("<html ", "<html data-demo "));
}

async function buildPanel() {
  const built = await build({
    ...common,
    build: {
      ...output,
      outDir: join(work, "chat"),
      rollupOptions: {
        input: { panel: join(root, "widget/panel/main.tsx") },
        preserveEntrySignatures: "strict",
        output: { entryFileNames: "assets/[name]-[hash].js", chunkFileNames: "assets/[name]-[hash].js", assetFileNames: "assets/[name]-[hash][extname]" },
      },
    },
  });
  const entry = [built].flat()[0].output.find((chunk) => chunk.type === "chunk" && chunk.isEntry);
  return entry.fileName;
}

async function buildLauncher(panel) {
  await build({
    ...common,
    define: { PANEL_FILE: JSON.stringify(panel) },
    build: {
      ...output,
      outDir: join(work, "chat"),
      lib: { entry: join(root, "widget/launcher.ts"), formats: ["iife"], name: "GatewayChatLauncher", fileName: () => "widget.js" },
    },
  });
}

async function compress() {
  const squeeze = promisify(gzip);
  for (const file of await readdir(work, { recursive: true })) {
    if (!/\.(js|css|html|svg|json)$/.test(file)) continue;
    const path = join(work, file);
    await writeFile(`${path}.gz`, await squeeze(await readFile(path), { level: 9 }));
  }
}

try {
  await buildPages();
  await buildLauncher(await buildPanel());
  await compress();
  await rm(join(root, "dist"), { recursive: true, force: true });
  await rename(work, join(root, "dist"));
} finally {
  await rm(work, { recursive: true, force: true });
}
