// Apache Kafka in this process: one node that is broker and controller, on free ports, with its files
// in a folder that the caller removes.
//
// Knows no topology and no case.

import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.Properties;
import kafka.server.*;
import org.apache.kafka.common.utils.Time;

final class ConformanceKafka implements AutoCloseable {
    private static final String CLUSTER = "Y29uZm9ybWFuY2UwMDAwMQ";

    private final KafkaRaftServer server;
    private final int port;

    ConformanceKafka(Path folder) throws IOException {
        int controller;
        try (ServerSocket one = free(); ServerSocket two = free()) {
            port = one.getLocalPort();
            controller = two.getLocalPort();
        }
        Properties p = new Properties();
        p.put("process.roles", "broker,controller");
        p.put("node.id", "1");
        p.put("controller.quorum.voters", "1@127.0.0.1:" + controller);
        p.put("listeners", "PLAINTEXT://127.0.0.1:" + port + ",CONTROLLER://127.0.0.1:" + controller);
        p.put("advertised.listeners", "PLAINTEXT://127.0.0.1:" + port);
        p.put("controller.listener.names", "CONTROLLER");
        p.put("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT");
        p.put("log.dirs", folder.resolve("broker").toString());
        for (String topic : new String[] {"offsets.topic", "transaction.state.log"}) {
            p.put(topic + ".replication.factor", "1");
            p.put(topic + ".num.partitions", "1");
        }
        p.put("transaction.state.log.min.isr", "1");
        p.put("group.initial.rebalance.delay.ms", "0");
        // Records of cases are of 1970: nothing may be deleted because it is old.
        p.put("log.retention.check.interval.ms", "3600000");
        p.put("log.initial.task.delay.ms", "3600000");
        p.put("log.cleaner.dedupe.buffer.size", "16777216");
        Path file = Files.createDirectories(folder).resolve("server.properties");
        try (Writer out = Files.newBufferedWriter(file)) {
            p.store(out, null);
        }
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream());
        String[] format = {"format", "-t", CLUSTER, "-c", file.toString()};
        if (kafka.tools.StorageTool.execute(format, nowhere) != 0) {
            throw new IOException("the storage in " + folder + " was not formatted");
        }
        server = new KafkaRaftServer(KafkaConfig.fromProps(p, false), Time.SYSTEM);
        server.startup();
    }

    private static ServerSocket free() throws IOException {
        return new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
    }

    String address() {
        return "127.0.0.1:" + port;
    }

    @Override
    public void close() {
        server.shutdown();
        server.awaitShutdown();
    }
}
