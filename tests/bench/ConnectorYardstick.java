import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * MariaDB Connector/J at the same work as the database driver.
 *
 * java -cp mariadb-java-client.jar ConnectorYardstick.java write URL USER PASSWORD THREADS
 *     inserts until its input ends; prints the time of each acknowledged commit, in nanoseconds since 1970.
 * java -cp mariadb-java-client.jar ConnectorYardstick.java read URL USER PASSWORD COUNT
 *     prints the nanoseconds that each of COUNT reads by key took.
 */
public class ConnectorYardstick {
    public static void main(String[] given) throws Exception {
        if (given[0].equals("read")) {
            read(given[1], given[2], given[3], Integer.parseInt(given[4]));
            return;
        }
        for (int number = 0; number < Integer.parseInt(given[4]); number++) {
            Thread writer = new Thread(() -> write(given[1], given[2], given[3]));
            writer.setDaemon(true);
            writer.start();
        }
        while (System.in.read() >= 0) {
            // Until whoever began this closes its end.
        }
        System.exit(0);
    }

    private static void read(String url, String user, String password, int count) throws SQLException {
        StringBuilder taken = new StringBuilder();
        try (Connection connection = DriverManager.getConnection(url, user, password);
                Statement statement = connection.createStatement()) {
            for (int number = 0; number < count; number++) {
                long began = System.nanoTime();
                try (ResultSet rows = statement.executeQuery("SELECT text FROM note WHERE id = 1")) {
                    while (rows.next()) {
                        rows.getString(1);
                    }
                }
                taken.append(System.nanoTime() - began).append('\n');
            }
        }
        System.out.print(taken);
    }

    private static void write(String url, String user, String password) {
        Connection connection = null;
        while (true) {
            try {
                if (connection == null || connection.isClosed()) {
                    connection = DriverManager.getConnection(url, user, password);
                    connection.setAutoCommit(false);
                }
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO note (text) VALUES ('x')")) {
                    insert.executeUpdate();
                }
                connection.commit();
                java.time.Instant now = java.time.Instant.now();
                System.out.println(now.getEpochSecond() * 1_000_000_000L + now.getNano());
                Thread.sleep(10);
            } catch (SQLException lost) {
                // The application tries again at once, as its next call would.
            } catch (InterruptedException ended) {
                return;
            }
        }
    }
}
