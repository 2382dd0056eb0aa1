// Prints what Apache Kafka's own serializers write and its deserializers read, for a table of
// values. Its output is kafka_serializers.txt, which the test serdes.rs compares with.
//
// Needs kafka-clients and its dependencies (slf4j) in a folder DIR:
//
//     java -cp "DIR/*" KafkaSerializers.java > kafka_serializers.txt
//
// All output is ASCII, with tabs between the columns.

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.UUID;
import java.util.function.Function;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.AppInfoParser;

public class KafkaSerializers {
    static final String TOPIC = "topic";

    static String hex(byte[] bytes) {
        return bytes == null ? "null" : "0x" + HexFormat.of().formatHex(bytes);
    }

    /** Each value, and the bytes Kafka writes for it. A null is always tried too. */
    @SafeVarargs
    static <T> void write(String type, Serde<T> serde, Function<T, String> show, T... values) {
        for (T value : values) {
            byte[] bytes = serde.serializer().serialize(TOPIC, value);
            System.out.println("write\t" + type + "\t" + show.apply(value) + "\t" + hex(bytes));
        }
        System.out.println("write\t" + type + "\tnull\t" + hex(serde.serializer().serialize(TOPIC, null)));
    }

    /** Bytes nobody wrote, and what Kafka reads in them: a value, or "refused". */
    static <T> void read(String type, Serde<T> serde, Function<T, String> show, byte[]... inputs) {
        for (byte[] bytes : inputs) {
            String value;
            try {
                value = show.apply(serde.deserializer().deserialize(TOPIC, bytes));
            } catch (RuntimeException e) {
                value = "refused";
            }
            System.out.println("read\t" + type + "\t" + hex(bytes) + "\t" + value);
        }
    }

    static byte[] bytes(int... values) {
        byte[] out = new byte[values.length];
        for (int i = 0; i < values.length; i++) out[i] = (byte) values[i];
        return out;
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** A JSON string in ASCII. */
    static String json(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            boolean plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
            out.append(plain ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        }
        return out.append('"').toString();
    }

    static String json(byte[] bytes) {
        return java.util.Arrays.toString(bytes).replace(" ", "");
    }

    static String show(float value) {
        return Float.isNaN(value)
            ? String.format("bits:%08x", Float.floatToRawIntBits(value)) : Float.toString(value);
    }

    static String show(double value) {
        return Double.isNaN(value)
            ? String.format("bits:%016x", Double.doubleToRawLongBits(value)) : Double.toString(value);
    }

    static String show(UUID id) {
        return id.getMostSignificantBits() + "," + id.getLeastSignificantBits();
    }

    public static void main(String[] args) {
        System.out.println("# Written by the serializers of Apache Kafka " + AppInfoParser.getVersion()
            + " (kafka-clients), on Java " + Runtime.version().feature() + ".");
        System.out.println("# Print it again with KafkaSerializers.java, beside this file; its head says how.");
        System.out.println("# write <type> <value> <bytes>    read <type> <bytes> <value, or refused>");
        System.out.println("# Values: numbers in decimal (a NaN as its bits), text and bytes in JSON, a UUID as its two longs.");
        numbers();
        floats();
        texts();
        ids();
    }

    static void numbers() {
        write("short", Serdes.Short(), String::valueOf, (short) 0, (short) 1, (short) -1, (short) 258,
            (short) -12345, Short.MIN_VALUE, Short.MAX_VALUE);
        read("short", Serdes.Short(), String::valueOf, bytes(), bytes(1), bytes(1, 2, 3));
        write("integer", Serdes.Integer(), String::valueOf, 0, 1, -1, 16909060, -123456789,
            Integer.MIN_VALUE, Integer.MAX_VALUE);
        read("integer", Serdes.Integer(), String::valueOf, bytes(), bytes(1, 2, 3), bytes(1, 2, 3, 4, 5));
        write("long", Serdes.Long(), String::valueOf, 0L, 1L, -1L, 72623859790382856L,
            -1234567890123456789L, Long.MIN_VALUE, Long.MAX_VALUE, 4294967296L);
        read("long", Serdes.Long(), String::valueOf, bytes(), bytes(1, 2, 3, 4),
            bytes(1, 2, 3, 4, 5, 6, 7), bytes(1, 2, 3, 4, 5, 6, 7, 8, 9));
        write("boolean", Serdes.Boolean(), String::valueOf, true, false);
        read("boolean", Serdes.Boolean(), String::valueOf, bytes(), bytes(2), bytes(255), bytes(0, 1));
    }

    static void floats() {
        write("float", Serdes.Float(), KafkaSerializers::show, 0.0f, -0.0f, 1.0f, -1.5f, 3.1415927f,
            Float.MIN_VALUE, Float.MIN_NORMAL, Float.MAX_VALUE, -Float.MAX_VALUE,
            Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN,
            Float.intBitsToFloat(0xffc00000), Float.intBitsToFloat(0x7fc12345));
        read("float", Serdes.Float(), KafkaSerializers::show, bytes(), bytes(1, 2, 3), bytes(1, 2, 3, 4, 5),
            bytes(0xff, 0xc0, 0, 1));
        write("double", Serdes.Double(), KafkaSerializers::show, 0.0, -0.0, 1.0, -1.5, Math.PI,
            Double.MIN_VALUE, Double.MIN_NORMAL, Double.MAX_VALUE, -Double.MAX_VALUE,
            Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN,
            Double.longBitsToDouble(0xfff8000000000000L), Double.longBitsToDouble(0x7ff8000000012345L));
        read("double", Serdes.Double(), KafkaSerializers::show, bytes(), bytes(1, 2, 3, 4),
            bytes(1, 2, 3, 4, 5, 6, 7, 8, 9), bytes(0xff, 0xf8, 0, 0, 0, 0, 0, 1));
    }

    static void texts() {
        write("string", Serdes.String(), KafkaSerializers::json, "", "a", "hello world", " \t\r\n\u0000\u007f",
            "\"\\", "\u00e9\u00df\u00ff", "e\u0301", "\u4f60\u597d", "\u20ac", "\ufeffmark", "\uffff",
            "\ud83d\ude00", "\ud800\udc00\udbff\udfff", "mixed \u00e9 \u4f60 \ud83d\ude80");
        // Not UTF-8: a lone byte, a cut sequence, an overlong form, a surrogate, past U+10FFFF.
        read("string", Serdes.String(), KafkaSerializers::json, bytes(), bytes(0xff), bytes('a', 0x80, 'b'),
            bytes(0xe2, 0x82), bytes(0xf0, 0x9f, 0x98), bytes(0xc0, 0xaf), bytes(0xed, 0xa0, 0x80),
            bytes(0xf4, 0x90, 0x80, 0x80));
        write("bytes", Serdes.ByteArray(), KafkaSerializers::json, bytes(), bytes(0), bytes(255),
            bytes(1, 2, 3, 128, 127), "caf\u00e9".getBytes(StandardCharsets.UTF_8));
        write("void", Serdes.Void(), String::valueOf);
        read("void", Serdes.Void(), String::valueOf, bytes(), bytes(0), bytes(1, 2));
    }

    static void ids() {
        write("uuid", Serdes.UUID(), KafkaSerializers::show, new UUID(0, 0), new UUID(-1, -1), new UUID(0, 1),
            new UUID(Long.MIN_VALUE, Long.MAX_VALUE), UUID.fromString("123e4567-e89b-12d3-a456-426614174000"),
            UUID.fromString("ABCDEF01-2345-4789-8abc-def012345678"));
        read("uuid", Serdes.UUID(), KafkaSerializers::show, bytes(), ascii("not a uuid"),
            ascii("ABCDEF01-2345-4789-8ABC-DEF012345678"),
            ascii("123e4567-e89b-12d3-a456-42661417400"), ascii("123e4567-e89b-12d3-a456-4266141740000"),
            ascii("123e4567e89b12d3a456426614174000"), ascii("{123e4567-e89b-12d3-a456-426614174000}"),
            ascii("urn:uuid:123e4567-e89b-12d3-a456-426614174000"),
            ascii("123e4567-e89b-12d3-a456-42661417400g"), ascii("123e4567-e89b12d3--a456-426614174000"),
            ascii("1-1-1-1-1"));
    }
}
