/** The promise of the package: at most 10 KB, minified and gzipped, in one file without imports. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

it('is at most 10 KB', async (t) => {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('../src/tidewire.js', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    metafile: true,
  });
  const { length } = gzipSync(outputFiles[0].contents, { level: 9 });
  t.diagnostic(`${outputFiles[0].contents.length} B minified, ${length} B gzipped`);
  assert.ok(length <= 10_000, `${length} B`);
  const imported = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules'));
  assert.deepEqual(imported, []);
});
