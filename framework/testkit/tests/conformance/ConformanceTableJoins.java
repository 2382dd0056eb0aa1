// Tables joined with tables: inner, left and outer; of topics, filtered, mapped, aggregated and windowed
// ones; a table with itself, joins of joins, and what follows a join.
//
// Knows topologies; not how a case is run. Joins with and without a store of their own are cases of their
// own: a table that must know old values has other results. Cases of one shape take the same inputs in
// all three joins.

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceTableJoins extends ConformanceTopologies {
    /** The name of the case begins with the kind of join. */
    enum Kind {
        INNER("inner"), LEFT("left"), OUTER("outer");

        final String text;

        Kind(String text) {
            this.text = text;
        }

        <K> KTable<K, String> join(KTable<K, String> one, KTable<K, String> two) {
            return join(one, two, ConformanceTopologies::pair);
        }

        <K> KTable<K, String> join(KTable<K, String> one, KTable<K, String> two,
                                   ValueJoiner<String, String, String> joiner) {
            return switch (this) {
                case INNER -> one.join(two, joiner);
                case LEFT -> one.leftJoin(two, joiner);
                case OUTER -> one.outerJoin(two, joiner);
            };
        }

        KTable<String, String> stored(KTable<String, String> one, KTable<String, String> two) {
            return stored(one, two, ConformanceTopologies::pair);
        }

        KTable<String, String> stored(KTable<String, String> one, KTable<String, String> two,
                                      ValueJoiner<String, String, String> joiner) {
            return switch (this) {
                case INNER -> one.join(two, joiner, table("joined"));
                case LEFT -> one.leftJoin(two, joiner, table("joined"));
                case OUTER -> one.outerJoin(two, joiner, table("joined"));
            };
        }
    }

    static void run(ConformanceCase.Group group) {
        for (boolean cache : BOTH) {
            for (Kind kind : Kind.values()) {
                plain(group, kind, cache);
                stored(group, kind, cache);
                grouped(group, kind, cache, false);
                grouped(group, kind, cache, true);
                sides(group, kind, cache);
                storedSides(group, kind, cache);
                nullResults(group, kind, cache);
                itself(group, kind, cache);
                ofOneStream(group, kind, cache);
                followed(group, kind, cache);
                ofJoins(group, kind, cache);
                windowed(group, kind, cache);
            }
            repartitioned(group, cache);
            suppressed(group, cache);
        }
        ConformanceStreamTableJoins.run(group);
    }

    static ConformanceInputs inputs(String... topics) {
        return ConformanceInputs.small().records(50).topics(topics).nulls(4, 20).values(NUMBERED);
    }

    static KTable<String, String> source(StreamsBuilder b, String topic) {
        return b.table(topic, ConformanceTopologies.<String>table(topic + "-store"));
    }

    private static ConformanceCase begin(ConformanceCase.Group group, Kind kind, String suffix, boolean cache) {
        return group.named("table_" + kind.text + "_join" + suffix, cache).inputsOf("table_join" + suffix).out("out");
    }

    /** The sources have stores because they are joined. */
    static void plain(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(b.<String, String>table("one"), b.<String, String>table("two")).toStream().to("out");
        begin(group, kind, "", cache).run(b, inputs("one", "two"));
    }

    static void stored(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        kind.stored(source(b, "one"), source(b, "two")).toStream().to("out");
        begin(group, kind, "_stored", cache).inputsOf("table_join").store("one-store", "two-store", "joined")
            .run(b, inputs("one", "two"));
    }

    /** An aggregation of the result, which adds and takes away. */
    static void grouped(ConformanceCase.Group group, Kind kind, boolean cache, boolean stored) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = source(b, "one");
        KTable<String, String> two = source(b, "two");
        KTable<String, String> joined = stored ? kind.stored(one, two) : kind.join(one, two);
        joined.groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.with(Serdes.String(), Serdes.String()))
            .aggregate(() -> "", (k, v, all) -> all + "(" + v, (k, v, all) -> taken(all, v), table("agg"))
            .toStream().to("out");
        begin(group, kind, (stored ? "_stored" : "") + "_grouped", cache).inputsOf("table_join").store("agg")
            .run(b, inputs("one", "two"));
    }

    /** {@code all} without {@code (v}; what it does not hold is shown as taken too often. */
    static String taken(String all, String v) {
        int at = all.indexOf("(" + v);
        return at < 0 ? all + ")" + v : all.substring(0, at) + all.substring(at + 1 + v.length());
    }

    static boolean early(String v) {
        return v.compareTo("d") < 0;
    }

    /** One side is filtered, the other mapped, neither with a store. */
    static void sides(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(b.<String, String>table("one").filter((k, v) -> early(v)),
            b.<String, String>table("two").mapValues(ConformanceTopologies::letter)).toStream().to("out");
        begin(group, kind, "_of_sides", cache).run(b, inputs("one", "two"));
    }

    static void storedSides(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        kind.join(source(b, "one").filter((k, v) -> early(v), table("kept")),
            source(b, "two").mapValues(ConformanceTopologies::letter, table("letters"))).toStream().to("out");
        begin(group, kind, "_of_stored_sides", cache).inputsOf("table_join_of_sides").store("kept", "letters")
            .run(b, inputs("one", "two"));
    }

    /** The joiner answers null, for a row that is there and for one that is not. */
    static void nullResults(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = source(b, "one");
        KTable<String, String> two = source(b, "two");
        kind.join(one, two, ConformanceTopologies::pairOrReset).toStream().to("out");
        kind.stored(one, two, ConformanceTopologies::pairOrReset).toStream().to("stored");
        begin(group, kind, "_null_results", cache).out("stored").store("joined").run(b, inputs("one", "two"));
    }

    /** A table with itself: each change is joined twice. */
    static void itself(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = source(b, "in");
        kind.join(table, table).toStream().to("out");
        kind.stored(table, table.mapValues(ConformanceTopologies::upper)).toStream().to("stored");
        begin(group, kind, "_itself", cache).out("stored").store("joined").run(b, inputs("in").records(50));
    }

    /** Two aggregations of one stream: a record changes both sides, one after the other. */
    static void ofOneStream(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> in = strings(b, "in");
        KTable<String, String> letters = in.groupByKey()
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, letter(v)), table("letters"));
        KTable<String, String> last = in.filter((k, v) -> v != null && v.endsWith("1")).groupByKey()
            .reduce((x, y) -> y, table("last"));
        kind.join(letters, last).toStream().to("out");
        kind.stored(last, letters).toStream().to("stored");
        begin(group, kind, "_of_one_stream", cache).out("stored").store("letters", "last", "joined")
            .run(b, inputs("in").records(50));
    }

    /** What follows: a filter, mapped values with and without a store, and a stream joined with the result. */
    static void followed(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> joined = kind.join(source(b, "one"), source(b, "two"));
        joined.filter((k, v) -> early(v)).toStream().to("out");
        joined.mapValues(v -> v + "!").toStream().to("mapped");
        joined.mapValues(v -> v + "?", table("kept")).toStream().to("mapped-stored");
        strings(b, "asked").leftJoin(joined, ConformanceTopologies::pair).to("answered");
        begin(group, kind, "_followed", cache).out("mapped").out("mapped-stored").out("answered").store("kept")
            .run(b, inputs("one", "two", "asked").records(90));
    }

    /** A join on the left and on the right of a join, with an aggregation that must know old values behind. */
    static void ofJoins(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = source(b, "one");
        KTable<String, String> two = source(b, "two");
        KTable<String, String> three = source(b, "three");
        Kind.LEFT.join(kind.join(one, two), three).toStream().to("out");
        Kind.OUTER.join(three, kind.join(one, two)).toStream().to("right");
        kind.join(kind.stored(one, two), three)
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.with(Serdes.String(), Serdes.String()))
            .aggregate(() -> "", (k, v, all) -> all + "(" + v, (k, v, all) -> taken(all, v), table("agg"))
            .toStream().to("agg");
        begin(group, kind, "_of_joins", cache).out("right").out("agg").store("joined", "agg")
            .run(b, inputs("one", "two", "three").records(80));
    }

    /** Two windowed aggregations; a row is of a key and a window. */
    static void windowed(ConformanceCase.Group group, Kind kind, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        TimeWindows windows = ConformanceTimeWindows.tumbling(15);
        KTable<Windowed<String>, String> one = strings(b, "one").groupByKey().windowedBy(windows)
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, letter(v)), windows("letters"));
        KTable<Windowed<String>, String> two = strings(b, "two").groupByKey().windowedBy(windows)
            .reduce((x, y) -> y, windows("last"));
        kind.join(one, two).toStream().to("out");
        begin(group, kind, "_windowed", cache).out("out", "time=10").option("size", 10).option("grace", 15)
            .store("letters", "last").run(b, inputs("one", "two"));
    }

    /** Both sides come through a repartition topic. */
    static void repartitioned(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> one = strings(b, "one").selectKey((k, v) -> letter(v)).toTable(table("one-store"));
        KTable<String, String> two = source(b, "two")
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.with(Serdes.String(), Serdes.String()))
            .reduce((x, y) -> y, (x, y) -> x, table("two-by-letter"));
        Kind.OUTER.stored(one, two).toStream().to("out");
        begin(group, Kind.OUTER, "_repartitioned", cache).store("one-store", "two-by-letter", "joined")
            .run(b, inputs("one", "two"));
    }

    static void suppressed(ConformanceCase.Group group, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        Kind.OUTER.join(source(b, "one"), source(b, "two"))
            .suppress(Suppressed.untilTimeLimit(ms(12), Suppressed.BufferConfig.unbounded())).toStream().to("out");
        begin(group, Kind.OUTER, "_suppressed", cache).option("limit", 12).run(b, inputs("one", "two"));
    }
}
