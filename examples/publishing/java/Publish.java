// Publishes to the stream `orders` with Kafka's own Java client: java -cp 'JARS/*' Publish.java HOST:PORT [TOPIC]

import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Utils;

public class Publish {
    public static void main(String[] arguments) throws Exception {
        String topic = arguments.length > 1 ? arguments[1] : "shop-orders";
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", arguments[0], "acks", "all", "enable.idempotence", true, "delivery.timeout.ms", 60000);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            int partitions = producer.partitionsFor(topic).size();
            publish(producer, topic, partitions, "berlin/java-1", "{\"total\":42,\"state\":\"paid\"}");
            publish(producer, topic, partitions, "paris/java-2", "{\"total\":7,\"state\":\"open\"}");
            publish(producer, topic, partitions, "paris/java-2", null); // a tombstone: the entity is gone
        }
    }

    static void publish(KafkaProducer<String, byte[]> producer, String topic, int partitions, String key, String json)
            throws Exception {
        byte[] group = groupOf(key).getBytes(UTF_8);
        int partition = Utils.toPositive(Utils.murmur2(group)) % partitions;
        byte[] value = json == null ? null : json.getBytes(UTF_8);
        RecordMetadata written = producer.send(new ProducerRecord<>(topic, partition, key, value, headers())).get();
        System.out.println(key + " partition " + written.partition() + " offset " + written.offset());
    }

    /** `group: key-prefix` in streams.yaml: the key up to its first slash. With `none` or `key` it is the whole key. */
    static String groupOf(String key) {
        return key.split("/", 2)[0];
    }

    static List<Header> headers() {
        List<Header> headers = new ArrayList<>();
        Map.of(
                "ce_specversion", "1.0",
                "ce_id", UUID.randomUUID().toString(),
                "ce_source", "shop/java",
                "ce_type", "shop.order.changed",
                "ce_time", Instant.now().toString(),
                "content-type", "application/json")
            .forEach((name, text) -> headers.add(new RecordHeader(name, text.getBytes(UTF_8))));
        return headers;
    }
}
