-- fields, stages, regions: names separated by spaces.
CREATE TABLE investor (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL UNIQUE,
    status text NOT NULL,
    fields text NOT NULL,
    stages text NOT NULL,
    regions text NOT NULL,
    least_amount bigint NOT NULL CHECK (least_amount >= 0),
    most_amount bigint NOT NULL CHECK (most_amount >= least_amount),
    created_at bigint NOT NULL,
    -- The centre in charge: its staff, and that of the centres above, reach the record.
    centre_id {uuid} NOT NULL
);

CREATE TABLE financing_project (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL,
    author_id text NOT NULL,
    status text NOT NULL,
    title text NOT NULL,
    teaser text NOT NULL,
    details text NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    field text NOT NULL,
    stage text NOT NULL,
    region text NOT NULL,
    created_at bigint NOT NULL,
    centre_id {uuid} NOT NULL
);
CREATE INDEX financing_project_organization ON financing_project (organization_id, id);

CREATE TABLE interest (
    id {uuid} PRIMARY KEY,
    financing_project_id {uuid} NOT NULL REFERENCES financing_project (id),
    investor_id {uuid} NOT NULL REFERENCES investor (id),
    status text NOT NULL,
    decline_reasons text NOT NULL,
    answer_note text,
    created_at bigint NOT NULL,
    UNIQUE (financing_project_id, investor_id)
);
