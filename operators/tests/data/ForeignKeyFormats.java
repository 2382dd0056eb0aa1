// Prints what Kafka Streams' own classes write for foreign-key joins: hashes, combined keys, subscriptions
// and responses. The tests of operators/src/table/foreign_key/format_tests.rs write and read the same.
//
// To print again, with the jars of org.apache.kafka:kafka-streams:4.3.1 in a folder DIR:
//
//     java -cp "DIR/*" ForeignKeyFormats.java > foreign_key_formats.tsv

import java.lang.reflect.Method;
import java.util.*;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.internals.foreignkeyjoin.*;
import org.apache.kafka.streams.state.internals.Murmur3;

public class ForeignKeyFormats {
    static final HexFormat HEX = HexFormat.of();
    static final Headers NONE = new RecordHeaders();

    static String hash(long[] hash) {
        return hash == null ? "-" : String.format("%016x%016x", hash[0], hash[1]);
    }

    static void line(Object... fields) {
        StringJoiner line = new StringJoiner("\t");
        for (Object field : fields) line.add(String.valueOf(field));
        System.out.println(line);
    }

    public static void main(String[] args) throws Exception {
        byte[] data = new byte[64];
        for (int at = 0; at < data.length; at++) data[at] = (byte) (at * 37 + 200);
        for (int length = 0; length <= data.length; length++) {
            byte[] part = Arrays.copyOf(data, length);
            line("hash", HEX.formatHex(part), hash(Murmur3.hash128(part)));
        }
        String[] values = {"", "a", "the value of an order"};

        CombinedKeySchema<String, Long> keys =
            new CombinedKeySchema<>(() -> "fk", Serdes.String(), () -> "pk", Serdes.Long());
        keys.init(null);
        Method toBytes = CombinedKeySchema.class
            .getDeclaredMethod("toBytes", Object.class, Object.class, Headers.class);
        Method prefix =
            CombinedKeySchema.class.getDeclaredMethod("prefixBytes", Object.class, Headers.class);
        toBytes.setAccessible(true);
        prefix.setAccessible(true);
        for (String foreign : values) {
            Bytes begin = (Bytes) prefix.invoke(keys, foreign, NONE);
            Bytes key = (Bytes) toBytes.invoke(keys, foreign, -7L, NONE);
            line("combined", foreign, -7, HEX.formatHex(begin.get()), HEX.formatHex(key.get()));
        }

        Serializer<SubscriptionWrapper<String>> subscriptions =
            new SubscriptionWrapperSerde<>(() -> "pk", Serdes.String()).serializer();
        for (SubscriptionWrapper.Instruction instruction : SubscriptionWrapper.Instruction.values()) {
            for (String value : new String[] {null, "a"}) {
                long[] hash = value == null ? null : Murmur3.hash128(value.getBytes());
                for (byte version = 0; version <= 1; version++) {
                    Integer partition = version == 0 ? null : 258;
                    byte[] bytes = subscriptions.serialize("ignored", NONE,
                        new SubscriptionWrapper<>(hash, instruction, "key", version, partition));
                    line("subscription", hash(hash), instruction.value(), "key",
                        version == 0 ? "-" : partition, HEX.formatHex(bytes));
                }
            }
        }

        Serializer<SubscriptionResponseWrapper<String>> responses =
            new SubscriptionResponseWrapperSerde<>(Serdes.String()).serializer();
        for (String value : new String[] {null, "a"}) {
            for (long[] hash : new long[][] {null, Murmur3.hash128("a".getBytes())}) {
                byte[] bytes = responses.serialize("topic", NONE,
                    new SubscriptionResponseWrapper<>(hash, value, 3));
                line("response", hash(hash), value == null ? "-" : value, HEX.formatHex(bytes));
            }
        }
    }
}
