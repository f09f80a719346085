-- How far each lot's log was at the latest look, and the root over it. Bound to the audit log as any row is, it holds a lot
-- that runs to what was seen of it.
CREATE TABLE auction_anchor (
    session_id {uuid} PRIMARY KEY,
    size bigint NOT NULL CHECK (size > 0),
    root {bytes} NOT NULL
);
