/** Entry of the package: everything an application imports. */

export { Tidewire } from './client.js';
export { TidewireError } from './errors.js';
export { SUBPROTOCOL, VERSION } from './codes.js';
