/** Which channels are known, and which of them carries a key. Pure. */

/** @import {MergedFeed} from './fleet.js' */

const ALPHABET = /^[A-Za-z0-9._~:@/-]{1,255}$/;
const SYSTEM = /^(tidewire\.|@)/;

/** Those that an operator may watch, most subscribers first. @param {MergedFeed[]} feeds */
export const knownChannels = (feeds) => [...new Set(feeds.map(({ channel }) => channel))].filter((channel) => !SYSTEM.test(channel));

/** What to watch unasked: the only one there is. @param {string[]} channels */
export const obviousChannel = (channels) => (channels.length === 1 ? channels[0] : null);

/** Streams that the channels are of. @param {string[]} channels */
export const streamsOf = (channels) => [...new Set(channels.map((channel) => channel.split('/')[0]))];

/** What is wrong with a name, or null. @param {string} channel */
export function channelProblem(channel) {
  if (!ALPHABET.test(channel)) return 'A channel is 1 to 255 characters of A-Z a-z 0-9 . _ ~ : @ / -';
  return channel.startsWith('/') || channel.endsWith('/') ? 'A channel is STREAM or STREAM/GROUP' : null;
}

/**
 * Where the events of a key come: its group's channel if that is known to be one, else the whole stream.
 *
 * @param {string} stream
 * @param {string} key
 * @param {string[]} channels
 */
export function channelOfKey(stream, key, channels) {
  const groups = channels.filter((channel) => channel.startsWith(`${stream}/`) && isInGroup(key, channel.slice(stream.length + 1)));
  return groups.sort((a, b) => b.length - a.length)[0] ?? stream;
}

/** @param {string} key @param {string} group */
const isInGroup = (key, group) => key === group || key.startsWith(`${group}/`);
