// Tables joined by a foreign key, inner and left: keys that change, that are null, that many rows share;
// several such joins in a row, and the bytes of what they write.
//
// Knows topologies; not how a case is run. A row's foreign key is the first letter of its value, which
// begins with f for no key. No row of the other table has the key e. Cases of one shape take the same
// inputs in both joins.

import java.util.List;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

final class ConformanceForeignKeys extends ConformanceTopologies {
    private static final boolean[] INNER_AND_LEFT = {false, true};

    static void run(ConformanceCase.Group group) {
        for (boolean left : INNER_AND_LEFT) {
            for (boolean cache : BOTH) {
                plain(group, left, cache);
                stored(group, left, cache);
                grouped(group, left, cache);
                sides(group, left, cache);
                quick(group, left, cache);
                followed(group, left, cache);
            }
            nullResults(group, left);
            empty(group, left);
            withKey(group, left);
            manyRows(group, left);
            itself(group, left);
            inARow(group, left);
            aggregated(group, left);
            bytes(group, left);
        }
    }

    private static ConformanceInputs inputs() {
        return ConformanceInputs.small().topics("rows", "others").keys("a", "b", "c", "d").nulls(4, 18)
            .values(NUMBERED).records(90);
    }

    static KTable<String, String> join(boolean left, KTable<String, String> rows, KTable<String, String> others) {
        return join(left, rows, others, ConformanceTopologies::letter);
    }

    static KTable<String, String> join(boolean left, KTable<String, String> rows, KTable<String, String> others,
                                       Function<String, String> key) {
        return left ? rows.leftJoin(others, key, ConformanceTopologies::pair)
            : rows.join(others, key, ConformanceTopologies::pair);
    }

    static KTable<String, String> stored(boolean left, KTable<String, String> rows, KTable<String, String> others) {
        Function<String, String> key = ConformanceTopologies::letter;
        return left ? rows.leftJoin(others, key, ConformanceTopologies::pair, table("joined"))
            : rows.join(others, key, ConformanceTopologies::pair, table("joined"));
    }

    private static ConformanceCase begin(ConformanceCase.Group group, boolean left, String suffix, boolean cache) {
        return group.named("foreign_key_" + (left ? "left" : "inner") + "_join" + suffix, cache)
            .inputsOf("foreign_key_join" + suffix).out("out");
    }

    /** Nobody asks for a store; both sides have one. */
    static void plain(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, b.table("rows"), b.table("others")).toStream().to("out");
        begin(group, left, "", cache).run(b, inputs());
    }

    static void stored(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        stored(left, ConformanceTableJoins.source(b, "rows"), ConformanceTableJoins.source(b, "others"))
            .toStream().to("out");
        begin(group, left, "_stored", cache).inputsOf("foreign_key_join")
            .store("rows-store", "others-store", "joined").run(b, inputs());
    }

    /** An aggregation of the result, which adds and takes away. */
    static void grouped(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, ConformanceTableJoins.source(b, "rows"), ConformanceTableJoins.source(b, "others"))
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.with(Serdes.String(), Serdes.String()))
            .aggregate(() -> "", (k, v, all) -> all + "(" + v, (k, v, all) -> ConformanceTableJoins.taken(all, v),
                table("agg"))
            .toStream().to("out");
        begin(group, left, "_grouped", cache).inputsOf("foreign_key_join").store("agg").run(b, inputs());
    }

    /** One side is filtered, the other mapped, neither with a store. */
    static void sides(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = b.<String, String>table("rows").filter((k, v) -> !v.endsWith("2"));
        KTable<String, String> others = b.<String, String>table("others").mapValues(ConformanceTopologies::letter);
        join(left, rows, others).toStream().to("out");
        begin(group, left, "_of_sides", cache).run(b, inputs());
    }

    /**
     * A record changes its row three times before an answer comes: to its own value, to the key e, and back.
     * Answers to a value that the row no longer has are dropped.
     */
    static void quick(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = strings(b, "rows")
            .flatMapValues(v -> v == null ? java.util.Arrays.asList((String) null)
                : v.endsWith("0") ? List.of(v) : v.endsWith("1") ? List.of(v, "e7", v) : List.of("b7", v))
            .toTable(table("rows-store"));
        join(left, rows, ConformanceTableJoins.source(b, "others")).toStream().to("out");
        begin(group, left, "_quick", cache).store("rows-store").run(b, inputs());
    }

    /** What follows: a filter, and mapped values with a store. */
    static void followed(ConformanceCase.Group group, boolean left, boolean cache) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> joined =
            join(left, ConformanceTableJoins.source(b, "rows"), ConformanceTableJoins.source(b, "others"));
        joined.filter((k, v) -> ConformanceTableJoins.early(v)).toStream().to("out");
        joined.mapValues(v -> v + "!", table("kept")).toStream().to("mapped");
        begin(group, left, "_followed", cache).out("mapped").store("kept").run(b, inputs());
    }

    /** The joiner answers null. */
    static void nullResults(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = ConformanceTableJoins.source(b, "rows");
        KTable<String, String> others = ConformanceTableJoins.source(b, "others");
        Function<String, String> key = ConformanceTopologies::letter;
        KTable<String, String> joined = left
            ? rows.leftJoin(others, key, ConformanceTopologies::pairOrReset, table("joined"))
            : rows.join(others, key, ConformanceTopologies::pairOrReset, table("joined"));
        joined.toStream().to("out");
        begin(group, left, "_null_results", false).store("joined").run(b, inputs());
    }

    /** Values of the other table may be empty, which are no bytes. */
    static void empty(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        join(left, b.table("rows"), b.table("others")).toStream().to("out");
        begin(group, left, "_of_empty_values", false).run(b, inputs().values((n, k, t) ->
            n.percent(30) ? "" : NUMBERED.make(n, k, t)));
    }

    /** The foreign key is made of the row's key too. */
    static void withKey(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = ConformanceTableJoins.source(b, "rows");
        KTable<String, String> others = ConformanceTableJoins.source(b, "others");
        java.util.function.BiFunction<String, String, String> key = (k, v) -> v.endsWith("0") ? k : letter(v);
        KTable<String, String> joined = left ? rows.leftJoin(others, key, ConformanceTopologies::pair)
            : rows.join(others, key, ConformanceTopologies::pair);
        joined.toStream().to("out");
        begin(group, left, "_with_key", false).run(b, inputs());
    }

    /** Forty rows of a few keys: the order in which a change of the other table reaches them. */
    static void manyRows(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = b.table("rows");
        // Four of five records are rows.
        KTable<String, String> others = strings(b, "others")
            .selectKey((k, v) -> k == null ? null : k.compareTo("k20") < 0 ? "b" : "c").toTable();
        join(left, rows, others).toStream().to("out");
        ConformanceInputs inputs = ConformanceInputs.manyKeys().topics("rows", "rows", "rows", "rows", "others")
            .values((n, k, t) -> (char) ('a' + n.below(3)) + "" + n.below(3));
        begin(group, left, "_many_rows", false).run(b, inputs);
    }

    /** A table with itself, as employees have managers. */
    static void itself(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> table = ConformanceTableJoins.source(b, "rows");
        join(left, table, table).toStream().to("out");
        begin(group, left, "_itself", false).store("rows-store").run(b, inputs().topics("rows").records(60));
    }

    /** A result is joined again, by another key: the last letter of what was found. */
    static void inARow(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> first =
            join(left, ConformanceTableJoins.source(b, "rows"), ConformanceTableJoins.source(b, "others"));
        first.toStream().to("first");
        join(left, first, ConformanceTableJoins.source(b, "thirds"), v -> letter(v.substring(v.indexOf('+') + 1)))
            .toStream().to("out");
        begin(group, left, "_in_a_row", false).out("first")
            .run(b, inputs().topics("rows", "others", "thirds").records(110));
    }

    /** Both sides are aggregations. */
    static void aggregated(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = strings(b, "rows").groupByKey().reduce((x, y) -> y, table("rows-store"));
        KTable<String, String> others = strings(b, "others").groupByKey()
            .aggregate(() -> "", (k, v, all) -> joinOrReset(all, letter(v)), table("others-store"));
        join(left, rows, others).toStream().to("out");
        begin(group, left, "_aggregated", false).store("rows-store", "others-store").run(b, inputs());
    }

    /** What the topics of subscriptions and answers get, and the changelog of subscriptions. */
    static void bytes(ConformanceCase.Group group, boolean left) {
        StreamsBuilder b = new StreamsBuilder();
        KTable<String, String> rows = ConformanceTableJoins.source(b, "rows");
        KTable<String, String> others = ConformanceTableJoins.source(b, "others");
        Function<String, String> key = ConformanceTopologies::letter;
        TableJoined<String, String> name = TableJoined.as("n");
        KTable<String, String> joined = left ? rows.leftJoin(others, key, ConformanceTopologies::pair, name)
            : rows.join(others, key, ConformanceTopologies::pair, name);
        joined.toStream().to("out");
        begin(group, left, "_bytes", false).out("golden-n-subscription-registration-topic", "hex")
            .out("golden-n-subscription-store-changelog", "hex").out("golden-n-subscription-response-topic", "hex")
            .run(b, inputs().records(60));
    }
}
