-- An auctioneer and clerks in a hall, for one or more lots.
CREATE TABLE hall_session (
    id {uuid} PRIMARY KEY,
    centre_id {uuid} NOT NULL,
    status text NOT NULL,
    -- The person who presides.
    auctioneer text NOT NULL,
    auctioneer_licence text NOT NULL,
    house_licence text,
    heartbeat_seconds integer NOT NULL CHECK (heartbeat_seconds > 0),
    opened_at bigint NOT NULL,
    closed_at bigint
);
CREATE INDEX hall_session_status ON hall_session (status);

CREATE TABLE hall_lot (
    hall_session_id {uuid} NOT NULL REFERENCES hall_session (id),
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    place integer NOT NULL,
    open boolean NOT NULL,
    PRIMARY KEY (hall_session_id, session_id)
);
-- A lot is called in one hall at a time.
CREATE UNIQUE INDEX hall_lot_open ON hall_lot (session_id) WHERE open;

-- One number for each bidder of a hall session.
CREATE TABLE paddle (
    hall_session_id {uuid} NOT NULL REFERENCES hall_session (id),
    number integer NOT NULL CHECK (number > 0),
    organization_id {uuid} NOT NULL,
    issued_at bigint NOT NULL,
    PRIMARY KEY (hall_session_id, number),
    UNIQUE (hall_session_id, organization_id)
);

-- last_number is the device's newest line here, uploaded_number the newest one whose signature is here.
CREATE TABLE hall_device (
    id {uuid} PRIMARY KEY,
    hall_session_id {uuid} NOT NULL REFERENCES hall_session (id),
    name text NOT NULL,
    public_key {bytes} NOT NULL,
    last_number bigint NOT NULL,
    uploaded_number bigint NOT NULL,
    heard_at bigint NOT NULL,
    CHECK (0 <= uploaded_number AND uploaded_number <= last_number)
);
CREATE INDEX hall_device_session ON hall_device (hall_session_id);

-- What a device entered, live or by its journal, numbered without holes. A line is written down before it goes to its
-- lot; until the lot's answer stands beside it, it is under way.
CREATE TABLE hall_line (
    device_id {uuid} NOT NULL REFERENCES hall_device (id),
    number bigint NOT NULL CHECK (number > 0),
    operation_id text NOT NULL,
    session_id {uuid} NOT NULL,
    paddle integer NOT NULL,
    amount bigint NOT NULL,
    origin text NOT NULL,
    -- The person who entered or uploaded it.
    clerk text NOT NULL,
    -- Whose paddle it is in this lot; none where the line never reached the lot.
    bidder_code text,
    -- The payload of the mutation.
    reply {bytes},
    -- Of the journal; none of a line that was only entered live.
    noted_at bigint,
    signature {bytes},
    outcome text,
    settlement text,
    PRIMARY KEY (device_id, number),
    UNIQUE (device_id, operation_id)
);
CREATE INDEX hall_line_under_way ON hall_line (device_id, number) WHERE reply IS NULL;
