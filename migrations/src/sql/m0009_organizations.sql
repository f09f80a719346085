-- The exchange's own houses, a tree below one hub. A centre is an organization too.
CREATE TABLE centre (
    organization_id {uuid} PRIMARY KEY REFERENCES organization (id),
    tier text NOT NULL CHECK (tier IN ('HUB', 'BRANCH', 'WORKSTATION', 'INTERNATIONAL_STATION')),
    parent_id {uuid} REFERENCES centre (organization_id),
    status text NOT NULL CHECK (status IN ('OPERATING', 'CLOSED')),
    opened_at bigint NOT NULL,
    CHECK ((tier = 'HUB') = (parent_id IS NULL))
);
CREATE UNIQUE INDEX centre_hub ON centre (tier) WHERE tier = 'HUB';
CREATE INDEX centre_parent ON centre (parent_id);

-- Parts of names: of two names that differ in a character or two, one holds a part of the other.
CREATE TABLE name_part (
    part text NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    PRIMARY KEY (part, organization_id)
);

-- login_index: HMAC of the login that the invitation was made to. roles: names separated by spaces.
CREATE TABLE invitation (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    login_index {bytes} NOT NULL,
    roles text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'DECLINED', 'REVOKED')),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX invitation_organization ON invitation (organization_id, id);
CREATE INDEX invitation_login ON invitation (login_index, id);

-- Public code lists that the operator loads.
CREATE TABLE code_entry (
    list text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    level text NOT NULL,
    PRIMARY KEY (list, code)
);
