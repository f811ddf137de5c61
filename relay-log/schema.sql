-- The tables of relay-logdb, for SQLite and for MariaDB or MySQL alike. The
-- program has this file in it and applies what the database lacks: each
-- section once, in order; the version is a row. A change is a new section at
-- the end, never an edit of an old one.
--
-- By hand, for a look:  sqlite3 :memory: < schema.sql
-- MariaDB has no "WITHOUT ROWID" (the program leaves it out there), SQLite
-- takes /*! ... */ for a comment. Times are UTC, to the microsecond. Ids of
-- connections and communications are 26 characters that sort by time.

-- version 1

CREATE TABLE IF NOT EXISTS schema_version (
  version INTEGER NOT NULL
) /*! ENGINE=InnoDB */;

-- Sessions: clients' with the relay, the relay's with MXs. The first five columns are Warp's.
CREATE TABLE IF NOT EXISTS connections (
  id          VARCHAR(26) NOT NULL,
  mail_from   VARCHAR(512),
  mail_to     VARCHAR(512),
  occurred_at DATETIME(6) NOT NULL,
  elapse      BIGINT,
  kind        VARCHAR(8) NOT NULL,
  source      VARCHAR(255) NOT NULL,
  pid         BIGINT NOT NULL,
  peer        VARCHAR(64),
  host        VARCHAR(255),
  tenant      VARCHAR(255),
  site        VARCHAR(255),
  tls         VARCHAR(255),
  messages    BIGINT NOT NULL,
  ended_at    DATETIME(6),
  reason      VARCHAR(255),
  PRIMARY KEY (id)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX IF NOT EXISTS connections_mail_to ON connections (mail_to);

-- Their lines, clustered by session.
CREATE TABLE IF NOT EXISTS communications (
  id            VARCHAR(26) NOT NULL,
  connection_id VARCHAR(26) NOT NULL,
  direction     VARCHAR(2) NOT NULL,
  data          TEXT,
  occurred_at   DATETIME(6) NOT NULL,
  PRIMARY KEY (connection_id, id)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- Messages that a client or the relay itself has handed over. code is what the client was answered.
CREATE TABLE IF NOT EXISTS messages (
  id            VARCHAR(26) NOT NULL,
  connection_id VARCHAR(26),
  tenant        VARCHAR(255),
  sender        VARCHAR(512),
  bytes         BIGINT,
  rcpts         BIGINT,
  serial        BIGINT,
  uid           BIGINT,
  through       BIGINT NOT NULL,
  code          BIGINT,
  dsn_of        VARCHAR(26),
  arrived_at    DATETIME(6),
  PRIMARY KEY (id)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX IF NOT EXISTS messages_tenant ON messages (tenant, arrived_at);
CREATE INDEX IF NOT EXISTS messages_sender ON messages (sender);

-- Of messages that came over SMTP, the recipients as the client gave them.
CREATE TABLE IF NOT EXISTS recipients (
  message_id VARCHAR(26) NOT NULL,
  rcpt       BIGINT NOT NULL,
  address    VARCHAR(512) NOT NULL,
  PRIMARY KEY (message_id, rcpt)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- One row for each result of a recipient: delivered, deferred, failed.
CREATE TABLE IF NOT EXISTS deliveries (
  id            VARCHAR(26) NOT NULL,
  message_id    VARCHAR(26) NOT NULL,
  rcpt          BIGINT NOT NULL,
  tenant        VARCHAR(255),
  recipient     VARCHAR(512),
  domain        VARCHAR(255),
  site          VARCHAR(255),
  mx            VARCHAR(255),
  verdict       VARCHAR(16) NOT NULL,
  status        VARCHAR(16),
  reply         TEXT,
  tls           VARCHAR(255),
  attempts      BIGINT,
  ms            BIGINT,
  connection_id VARCHAR(26),
  arrived_at    DATETIME(6),
  occurred_at   DATETIME(6) NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX IF NOT EXISTS deliveries_message ON deliveries (message_id);
CREATE INDEX IF NOT EXISTS deliveries_time ON deliveries (occurred_at, verdict);
CREATE INDEX IF NOT EXISTS deliveries_recipient ON deliveries (recipient);

-- How far each file of the log has been read, and what was open there: written in
-- the same transaction as the rows that were made of it.
CREATE TABLE IF NOT EXISTS log_files (
  source    VARCHAR(255) NOT NULL,
  directory VARCHAR(255) NOT NULL,
  file      VARCHAR(25) NOT NULL,
  position  BIGINT NOT NULL,
  PRIMARY KEY (source, directory, file)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE IF NOT EXISTS log_state (
  source VARCHAR(255) NOT NULL,
  item   VARCHAR(320) NOT NULL,
  value  LONGTEXT NOT NULL,
  PRIMARY KEY (source, item)
) WITHOUT ROWID /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
