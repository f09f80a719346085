-- How a deal ends: by its settlement, or by its transferee's default (SM-3). One row, so that one of the two comes first.
CREATE TABLE deal_end (
    deal_id {uuid} NOT NULL PRIMARY KEY,
    -- The transferee's, whose deposit waits for its forfeiture where the deal ended in default.
    transfer_application_id {uuid},
    settled boolean NOT NULL
);

INSERT INTO deal_end (deal_id, settled) SELECT deal_id, TRUE FROM settlement;
