CREATE TABLE idempotency (
    id text PRIMARY KEY,
    request_hash {bytes} NOT NULL,
    reply {bytes},
    at bigint NOT NULL
);

CREATE TABLE event (
    id {uuid} PRIMARY KEY,
    service text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    actor text NOT NULL,
    at bigint NOT NULL,
    facts text NOT NULL,
    announce boolean NOT NULL,
    claimed_until bigint NOT NULL,
    published_at bigint
);
CREATE INDEX event_subject ON event (subject, id);
CREATE INDEX event_service ON event (service, id);
CREATE INDEX event_waiting ON event (service, claimed_until) WHERE announce AND published_at IS NULL;

CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id {uuid} NOT NULL,
    PRIMARY KEY (consumer, event_id)
);

CREATE TABLE calendar_day (
    date text PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    source text NOT NULL
);

CREATE TABLE rule_parameter (
    key text NOT NULL,
    jurisdiction text NOT NULL,
    effective_from text NOT NULL,
    rule text NOT NULL,
    parameter text NOT NULL,
    PRIMARY KEY (key, jurisdiction, effective_from)
);

CREATE TABLE drill_clock (
    id integer PRIMARY KEY,
    offset_millis bigint NOT NULL
);
