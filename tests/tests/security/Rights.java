import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * Makes users and grants rights: {@code user NAME PASSWORD} and
 * {@code grant USER RESOURCE PATTERN NAME OPERATION}, a line each on standard input.
 */
public final class Rights {
    private Rights() {}

    public static void main(String[] arguments) throws Exception {
        List<String[]> users = new ArrayList<>();
        List<AclBinding> grants = new ArrayList<>();
        try (Scanner lines = new Scanner(System.in)) {
            while (lines.hasNextLine()) {
                String[] words = lines.nextLine().split(" ");
                if (words[0].equals("user")) {
                    users.add(words);
                } else {
                    grants.add(new AclBinding(
                        new ResourcePattern(ResourceType.fromString(words[2]), words[4],
                            PatternType.fromString(words[3])),
                        new AccessControlEntry("User:" + words[1], "*",
                            AclOperation.fromString(words[5]), AclPermissionType.ALLOW)));
                }
            }
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            // A user twice in one request is refused.
            for (ScramMechanism mechanism : List.of(
                    ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)) {
                ScramCredentialInfo info = new ScramCredentialInfo(mechanism, 4096);
                List<UserScramCredentialAlteration> made = new ArrayList<>();
                for (String[] user : users) {
                    made.add(new UserScramCredentialUpsertion(user[1], info, user[2]));
                }
                admin.alterUserScramCredentials(made).all().get();
            }
            admin.createAcls(grants).all().get();
        }
        System.out.println(users.size() + " users, " + grants.size() + " grants");
    }
}
