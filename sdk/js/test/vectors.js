/** The golden frames of the repository, shared with the server and the Python client; those of a release where TIDEWIRE_VECTORS names its folder. */

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const GIVEN = process.env.TIDEWIRE_VECTORS;
const FOLDER = GIVEN ? pathToFileURL(GIVEN) : new URL('../../../tests/vectors/protocol/', import.meta.url);

export const vectors = (name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
