-- The authenticator of a person. secret is sealed by the person's key; it counts once confirmed. last_step: the last step of
-- 30 seconds whose code was used.
CREATE TABLE second_factor (
    person_id {uuid} PRIMARY KEY REFERENCES person (id),
    secret {bytes} NOT NULL,
    last_step bigint NOT NULL,
    enrolled_at bigint NOT NULL,
    confirmed_at bigint
);

-- What replaces the authenticator once each; only its HMAC is kept.
CREATE TABLE recovery_code (
    code_index {bytes} PRIMARY KEY,
    person_id {uuid} NOT NULL REFERENCES person (id)
);
CREATE INDEX recovery_code_person ON recovery_code (person_id);

-- A key for tools. key_hash: SHA-256 of the key, which is random in full; roles: names separated by spaces.
CREATE TABLE api_key (
    id {uuid} PRIMARY KEY,
    person_id {uuid} NOT NULL REFERENCES person (id),
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    name text NOT NULL,
    roles text NOT NULL,
    prefix text NOT NULL,
    key_hash {bytes} NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    revoked_at bigint
);
CREATE INDEX api_key_person ON api_key (person_id);

-- A sign-in at a provider that has begun. Nonce and PKCE verifier are derived from the state, of which only a hash is kept.
CREATE TABLE federated_attempt (
    state_hash {bytes} PRIMARY KEY,
    provider text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX federated_attempt_expires ON federated_attempt (expires_at);

-- Who a provider's account is here. subject_index: HMAC of issuer and subject.
CREATE TABLE federated_identity (
    subject_index {bytes} PRIMARY KEY,
    issuer text NOT NULL,
    person_id {uuid} NOT NULL REFERENCES person (id),
    linked_at bigint NOT NULL
);
CREATE INDEX federated_identity_person ON federated_identity (person_id);
