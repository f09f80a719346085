CREATE TABLE person (
    id {uuid} PRIMARY KEY,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE organization (
    id {uuid} PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('APPLIED', 'VERIFIED', 'REJECTED')),
    usci text NOT NULL,
    region text NOT NULL,
    created_at bigint NOT NULL
);

-- A refused application must not keep the true holder of the code out.
CREATE UNIQUE INDEX organization_usci ON organization (usci) WHERE status <> 'REJECTED';

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
    created_at bigint NOT NULL,
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

-- Guesses at a login for the lock-out, counted anew once 15 minutes passed without one. One row per login, so that
-- one guarded upsert counts racing guesses exactly.
CREATE TABLE sign_in_failure (
    login_hash {bytes} PRIMARY KEY,
    guesses integer NOT NULL,
    last_at bigint NOT NULL
);
CREATE INDEX sign_in_failure_last ON sign_in_failure (last_at);

CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    pkcs8 {bytes} NOT NULL,
    created_at bigint NOT NULL
);
