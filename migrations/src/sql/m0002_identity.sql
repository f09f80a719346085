-- login and name are sealed by the person's key; login_index is the HMAC by which a login is found. An erased person has
-- neither, and keeps the id.
CREATE TABLE person (
    id {uuid} PRIMARY KEY,
    login_index {bytes} UNIQUE,
    login {bytes} NOT NULL,
    name {bytes} NOT NULL,
    password_hash text NOT NULL,
    created_at bigint NOT NULL
);

-- verified_at: from then on anybody may know of it. evidence: what was checked when the status last changed, or why it
-- changed. skeleton: what the name looks like (UTS 39).
CREATE TABLE organization (
    id {uuid} PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('APPLIED', 'VERIFIED', 'REJECTED', 'SUSPENDED', 'CLOSED')),
    usci text NOT NULL,
    region text NOT NULL,
    legal_representative text NOT NULL,
    industry text NOT NULL,
    centre_id {uuid} NOT NULL REFERENCES organization (id),
    evidence text NOT NULL,
    skeleton text NOT NULL,
    created_at bigint NOT NULL,
    verified_at bigint
);
CREATE INDEX organization_skeleton ON organization (skeleton);
CREATE INDEX organization_centre ON organization (centre_id, status);

-- A refused application must not keep the true holder of the code out, nor a closed record its return.
CREATE UNIQUE INDEX organization_usci ON organization (usci) WHERE status IN ('APPLIED', 'VERIFIED', 'SUSPENDED');

-- roles: names separated by spaces.
CREATE TABLE membership (
    person_id {uuid} NOT NULL REFERENCES person (id),
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    roles text NOT NULL,
    PRIMARY KEY (person_id, organization_id)
);
CREATE INDEX membership_organization ON membership (organization_id);

-- One sign-in. refresh_hash is SHA-256 of the only refresh token that still works; generation counts rotations.
CREATE TABLE session (
    id {uuid} PRIMARY KEY,
    person_id {uuid} NOT NULL REFERENCES person (id),
    refresh_hash {bytes} NOT NULL UNIQUE,
    generation integer NOT NULL,
    second_factor boolean NOT NULL,
    created_at bigint NOT NULL,
    renewed_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX session_person ON session (person_id);

-- Refresh tokens that were used: using one again ends the session.
CREATE TABLE spent_refresh (
    refresh_hash {bytes} PRIMARY KEY,
    session_id {uuid} NOT NULL REFERENCES session (id)
);
CREATE INDEX spent_refresh_session ON spent_refresh (session_id);

-- Guesses at an account for the lock-out, counted anew once 15 minutes passed without one. subject: HMAC of the person's
-- id, or of a login that nobody has. One row each, so that one guarded upsert counts racing guesses exactly.
CREATE TABLE account_guess (
    subject {bytes} PRIMARY KEY,
    guesses integer NOT NULL,
    last_at bigint NOT NULL
);
CREATE INDEX account_guess_last ON account_guess (last_at);

-- Guesses from an address (its HMAC): a bucket that drains evenly, and the instant at which it will be empty.
CREATE TABLE address_guess (
    address {bytes} PRIMARY KEY,
    empty_at bigint NOT NULL
);
CREATE INDEX address_guess_empty ON address_guess (empty_at);

-- pkcs8 is wrapped by the master key. One key signs: the one that does not retire.
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    pkcs8 {bytes} NOT NULL,
    created_at bigint NOT NULL,
    retires_at bigint
);
CREATE UNIQUE INDEX signing_key_now ON signing_key ((retires_at IS NULL)) WHERE retires_at IS NULL;
