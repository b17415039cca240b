// Prints tests/vectors/murmur2.json: what the Java client makes of keys. See README.md.
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.utils.internals.AppInfoParser;
import org.apache.kafka.common.utils.Utils;

public final class Murmur2Vectors {
    private static final int[] PARTITION_COUNTS = {1, 2, 3, 6, 7, 12, 64, 1000, 1024, 10000};

    public static void main(String[] args) {
        StringBuilder out = new StringBuilder();
        out.append("{\n  \"made_by\": \"org.apache.kafka:kafka-clients:")
            .append(AppInfoParser.getVersion())
            .append(" Utils.murmur2, Utils.toPositive\",\n  \"vectors\": [\n");
        List<byte[]> keys = keys();
        for (int i = 0; i < keys.size(); i++) {
            out.append(line(keys.get(i))).append(i + 1 < keys.size() ? ",\n" : "\n");
        }
        System.out.print(out.append("  ]\n}\n"));
    }

    private static String line(byte[] key) {
        int hash = Utils.murmur2(key);
        StringBuilder partitions = new StringBuilder();
        for (int count : PARTITION_COUNTS) {
            partitions.append(partitions.isEmpty() ? "" : ", ")
                .append('"').append(count).append("\": ").append(Utils.toPositive(hash) % count);
        }
        return "    {\"hex\": \"" + HexFormat.of().formatHex(key) + "\", \"murmur2\": " + hash
            + ", \"partitions\": {" + partitions + "}}";
    }

    private static List<byte[]> keys() {
        List<byte[]> keys = new ArrayList<>();
        for (int length = 0; length <= 16; length++) {
            byte[] rising = new byte[length];
            byte[] high = new byte[length];
            for (int i = 0; i < length; i++) {
                rising[i] = (byte) ('a' + i);
                high[i] = (byte) (0xff - i);
            }
            keys.add(rising);
            keys.add(high);
            keys.add(new byte[length]);
        }
        for (String text : new String[] {
            "JFK", "LGA", "EWR", "JFK/B6-704", "21", "foobar", "abc", "Zürich", "東京", "Владивосток",
            "✈️ 1545", "naïve", "ÅÄÖ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\u0000", "\n", " ",
            "a-little-bit-long-string", "a-little-bit-longer-string",
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"}) {
            keys.add(text.getBytes(StandardCharsets.UTF_8));
        }
        Random random = new Random(20130101L);
        for (int i = 0; i < 300; i++) {
            byte[] key = new byte[random.nextInt(i < 200 ? 40 : 300)];
            random.nextBytes(key);
            keys.add(key);
        }
        return keys;
    }
}
