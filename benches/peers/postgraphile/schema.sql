-- What one would write for a generic GraphQL server: the rule in a function, which the server shows as a mutation.
-- It is run in a schema of its own, which comes first on the search path.

CREATE TABLE lot (
    id integer PRIMARY KEY,
    increment bigint NOT NULL,
    price bigint NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    leading_bidder text
);

CREATE TABLE bid (
    lot_id integer NOT NULL,
    seq bigint NOT NULL,
    bidder text NOT NULL,
    amount bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (lot_id, seq)
);

CREATE TYPE receipt AS (seq bigint, amount bigint, at timestamptz, refusal text);

-- A bid that was overtaken on its way is refused: its receipt says why, and nothing else.
CREATE FUNCTION place_bid(lot integer, bidder text, amount bigint) RETURNS receipt LANGUAGE plpgsql AS $$
DECLARE
    locked record;
    taken receipt;
BEGIN
    SELECT l.price + l.increment AS least, l.seq INTO locked FROM lot AS l WHERE l.id = place_bid.lot FOR UPDATE;
    IF NOT FOUND OR place_bid.amount < locked.least THEN
        RETURN (NULL, NULL, NULL, 'BELOW_MIN_INCREMENT')::receipt;
    END IF;
    -- Read once the lot is locked: now() would be the time when the statement began to wait.
    taken := (locked.seq + 1, place_bid.amount, clock_timestamp(), NULL);
    UPDATE lot AS l SET price = taken.amount, seq = taken.seq, leading_bidder = place_bid.bidder
        WHERE l.id = place_bid.lot;
    INSERT INTO bid VALUES (place_bid.lot, taken.seq, place_bid.bidder, taken.amount, taken.at);
    RETURN taken;
END $$;

-- In its favour: a bid that comes late takes the next price, so that nothing is refused and every transaction counts.
CREATE FUNCTION place_bid_next(lot integer, bidder text, amount bigint) RETURNS receipt LANGUAGE plpgsql AS $$
DECLARE
    locked record;
    taken receipt;
BEGIN
    SELECT l.price + l.increment AS least, l.seq INTO locked FROM lot AS l WHERE l.id = place_bid_next.lot FOR UPDATE;
    IF NOT FOUND THEN
        RETURN (NULL, NULL, NULL, 'NO_SUCH_LOT')::receipt;
    END IF;
    taken := (locked.seq + 1, greatest(place_bid_next.amount, locked.least), clock_timestamp(), NULL);
    UPDATE lot AS l SET price = taken.amount, seq = taken.seq, leading_bidder = place_bid_next.bidder
        WHERE l.id = place_bid_next.lot;
    INSERT INTO bid VALUES (place_bid_next.lot, taken.seq, place_bid_next.bidder, taken.amount, taken.at);
    RETURN taken;
END $$;
