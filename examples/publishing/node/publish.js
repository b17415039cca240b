// Publishes to the stream `orders` with kafkajs: node publish.js HOST:PORT [TOPIC]

import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';

const { Kafka, Partitioners, logLevel } = kafkajs;
const [bootstrap, topic = 'shop-orders'] = process.argv.slice(2);

/** `group: key-prefix` in streams.yaml: murmur2 of the key up to its first slash. With `none` or `key` the default is right. */
function byGroup() {
  const wholeKey = Partitioners.DefaultPartitioner();
  return ({ message, ...rest }) => wholeKey({ ...rest, message: { ...message, key: message.key.split('/', 1)[0] } });
}

const headers = () => ({
  ce_specversion: '1.0',
  ce_id: randomUUID(),
  ce_source: 'shop/kafkajs',
  ce_type: 'shop.order.changed',
  ce_time: new Date().toISOString(),
  'content-type': 'application/json',
});

const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
const producer = kafka.producer({ createPartitioner: byGroup });
await producer.connect();
for (const [key, value] of [
  ['berlin/kafkajs-1', JSON.stringify({ total: 42, state: 'paid' })],
  ['paris/kafkajs-2', JSON.stringify({ total: 7, state: 'open' })],
  ['paris/kafkajs-2', null], // a tombstone: the entity is gone
]) {
  const [written] = await producer.send({ topic, messages: [{ key, value, headers: headers() }] });
  console.log(`${key} partition ${written.partition} offset ${written.baseOffset}`);
}
await producer.disconnect();
