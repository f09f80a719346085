-- What the events say of rows, by row: how often each was written, the mark of what it then held (none once it is
-- deleted), and which event tells of it.
CREATE TABLE row_proof (
    tbl text NOT NULL,
    key {bytes} NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    mark {bytes},
    event_id {uuid} NOT NULL,
    PRIMARY KEY (tbl, key)
);

-- The rows that the event's transaction wrote, and the exchange's mark of the event with them.
ALTER TABLE event ADD COLUMN rows {bytes};
ALTER TABLE event ADD COLUMN mark {bytes};
CREATE INDEX event_rows ON event (id) WHERE rows IS NOT NULL;

-- The exchange's mark of a lot as a round left it.
ALTER TABLE bidding_session ADD COLUMN mark {bytes};
