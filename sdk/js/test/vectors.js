/** The golden frames of the repository, shared with the server and the Python client. */

import { readFileSync } from 'node:fs';

const FOLDER = new URL('../../../tests/vectors/protocol/', import.meta.url);

export const vectors = (name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
