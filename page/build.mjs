// Build the page into the folder that the wheel ships: label.js, label.css and the licences of what is bundled.
import { build } from "esbuild";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? join(here, "../src/geoseg/web/label/static");

const result = await build({
  absWorkingDir: here,
  entryPoints: { label: "src/main.ts" },
  outdir: output,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // all of them are in LICENCES.txt
  loader: { ".svg": "dataurl" },
  metafile: true,
});

const packages = new Set();
for (const path of Object.keys(result.metafile.inputs)) {
  const name = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
  if (name) packages.add(name);
}

const notices = [];
for (const name of [...packages].sort()) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence file: its text must be shipped with the page`);
  const text = await readFile(join(folder, file), "utf8");
  notices.push(`${name} ${version} (${license})\n\n${text.replaceAll("\r\n", "\n").trim()}\n`);
}
const line = "-".repeat(78);
await writeFile(
  join(output, "LICENCES.txt"),
  `label.js and label.css contain code of these packages:\n\n${line}\n${notices.join(`\n${line}\n`)}`,
);
