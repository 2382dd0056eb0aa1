// Runs every check of Apache Kafka's Java clients against one address, given as the only argument.
//
// A check is a method that throws when the broker is wrong. Its line "ok <check>" on standard output
// is what the Rust test counts; the first failure ends the program with its reason and status 1.

import java.util.LinkedHashMap;
import java.util.Map;

public final class Main {
    /** A check, which may throw anything. */
    interface Check {
        void run(Clients clients) throws Exception;
    }

    public static void main(String[] arguments) {
        Map<String, Check> checks = new LinkedHashMap<>();
        Transactions.addTo(checks);
        Groups.addTo(checks);
        Administration.addTo(checks);
        Clients clients = new Clients(arguments[0]);
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            try {
                check.getValue().run(clients);
            } catch (Throwable reason) {
                System.out.println("failed " + check.getKey());
                reason.printStackTrace(System.out);
                // Clients left open have threads that would keep the program alive.
                Runtime.getRuntime().halt(1);
            }
            System.out.println("ok " + check.getKey());
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
