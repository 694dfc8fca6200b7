import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { environment: "happy-dom", include: ["**/*.test.{ts,tsx}"], exclude: ["node_modules/**"] },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
