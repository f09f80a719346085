-- One row that is counted up and read back through another connection: so a process proves that its database keeps what it
-- is told. It decides nothing.
CREATE TABLE heartbeat (
    id integer PRIMARY KEY,
    beats bigint NOT NULL
);
INSERT INTO heartbeat (id, beats) VALUES (1, 0);
