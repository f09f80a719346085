-- The box of a sealed round: a place for every eligible bidder from the beginning, filled or not. All rows of a box are
-- alike in size and are written together, at a beat that knows nothing of who bids. What is in a place, and when it came,
-- stands under an outer seal with a nonce of its own.
CREATE TABLE sealed_place (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    round integer NOT NULL CHECK (round > 0),
    place integer NOT NULL CHECK (place > 0),
    wrapped {bytes} NOT NULL,
    PRIMARY KEY (session_id, round, place)
);

-- The shares of a round's key that trustees contributed at the opening, under an outer seal.
CREATE TABLE sealed_share (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    round integer NOT NULL CHECK (round > 0),
    trustee integer NOT NULL CHECK (trustee > 0),
    wrapped {bytes} NOT NULL,
    PRIMARY KEY (session_id, round, trustee)
);

-- Who scores offers. impartial: what the member declared; nothing yet if null.
CREATE TABLE panel_member (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    number integer NOT NULL CHECK (number > 0),
    person_id text NOT NULL,
    impartial boolean,
    PRIMARY KEY (session_id, number),
    UNIQUE (session_id, person_id)
);
