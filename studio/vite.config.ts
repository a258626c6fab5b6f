import { defineConfig } from "vite";

// Paths are relative, so that the page can lie anywhere; nothing is inlined, as its policy wants it.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/byway/studio/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 1000,
  },
});
