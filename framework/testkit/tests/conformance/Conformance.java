// The program that prints golden cases: groups of topologies, run in Kafka Streams' own
// TopologyTestDriver on inputs made from a seed. `generate` compiles and runs it; README.md says
// how to add a case, and ConformanceCase.java defines the format.
//
// Knows the names of the groups and what is asked for; not what a case is. Invariant: the same
// arguments print the same bytes.

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.function.Consumer;

public class Conformance {
    /** The version of the format, which a reader checks first. */
    static final int FORMAT = 1;

    /** Groups of cases whose inputs a seed makes. */
    static final Map<String, Consumer<ConformanceCase.Group>> SEEDED = new LinkedHashMap<>();
    /** Groups that no seed changes. */
    static final Map<String, Consumer<ConformanceCase.Group>> FIXED = new LinkedHashMap<>();

    static {
        SEEDED.put("streams", ConformanceStreams::run);
        SEEDED.put("tables", ConformanceTables::run);
        SEEDED.put("processors", ConformanceProcessors::run);
        SEEDED.put("time_windows", ConformanceTimeWindows::run);
        SEEDED.put("sliding_windows", ConformanceSlidingWindows::run);
        SEEDED.put("session_windows", ConformanceSessionWindows::run);
        SEEDED.put("closing", ConformanceClosing::run);
        SEEDED.put("windowed_keys", ConformanceWindowedKeys::run);
        SEEDED.put("suppress", ConformanceSuppress::run);
        SEEDED.put("cogroup", ConformanceCogroup::run);
        SEEDED.put("stores", ConformanceStores::run);
        SEEDED.put("stream_joins", ConformanceStreamJoins::run);
        SEEDED.put("table_joins", ConformanceTableJoins::run);
        SEEDED.put("foreign_keys", ConformanceForeignKeys::run);
        SEEDED.put("optimized", ConformanceOptimized::run);
        SEEDED.put("versioned", ConformanceVersioned::run);
        SEEDED.put("global_tables", ConformanceGlobalTables::run);
        SEEDED.put("commits", ConformanceCommits::run);
        FIXED.put("names", ConformanceNames::run);
        FIXED.put("refused", ConformanceRefused::run);
        FIXED.put("join_names", ConformanceJoinNames::run);
        FIXED.put("join_refused", ConformanceJoinRefused::run);
        FIXED.put("optimized_names", ConformanceOptimized::names);
    }

    public static void main(String[] args) throws IOException {
        List<String> rest = new ArrayList<>(List.of(args));
        boolean fixed = rest.remove("--fixed");
        Path folder = null;
        int at = rest.indexOf("--out");
        if (at >= 0 && at + 1 < rest.size()) {
            folder = Path.of(rest.remove(at + 1));
            rest.remove(at);
        }
        Long seed = null;
        if (!fixed) {
            seed = rest.isEmpty() ? null : parsed(rest.remove(0));
            if (seed == null) {
                usage();
            }
        }
        Map<String, Consumer<ConformanceCase.Group>> groups = fixed ? FIXED : SEEDED;
        if (rest.size() > 1 || !groups.keySet().containsAll(rest)) {
            usage();
        }
        for (var group : groups.entrySet()) {
            if (!rest.isEmpty() && !rest.contains(group.getKey())) {
                continue;
            }
            if (folder == null) {
                print(System.out, group.getKey(), seed, group.getValue());
                continue;
            }
            Files.createDirectories(folder);
            try (PrintStream out = new PrintStream(Files.newOutputStream(
                    folder.resolve(group.getKey() + ".tsv")), false, StandardCharsets.UTF_8)) {
                print(out, group.getKey(), seed, group.getValue());
            }
        }
    }

    static void print(PrintStream to, String name, Long seed, Consumer<ConformanceCase.Group> cases) {
        // One write a group: standard output flushes at each line otherwise.
        var bytes = new java.io.ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, false, StandardCharsets.UTF_8);
        ConformanceCase.Group group = new ConformanceCase.Group(out, seed == null ? 0 : seed);
        group.line("conformance", FORMAT, kafkaVersion(), name, seed == null ? "fixed" : seed);
        cases.accept(group);
        out.flush();
        to.writeBytes(bytes.toByteArray());
        to.flush();
    }

    /** What the jars say, so that a golden file tells which Kafka Streams printed it. */
    static String kafkaVersion() {
        return org.apache.kafka.common.utils.AppInfoParser.getVersion();
    }

    static Long parsed(String text) {
        try {
            return Long.parseUnsignedLong(text);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    static void usage() {
        System.err.println("usage: generate [--out DIR] SEED [GROUP] | generate [--out DIR] --fixed [GROUP]");
        System.err.println("groups: " + String.join(" ", SEEDED.keySet()));
        System.err.println("fixed: " + String.join(" ", FIXED.keySet()));
        System.exit(2);
    }
}
