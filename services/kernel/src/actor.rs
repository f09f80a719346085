use prost::Message;
use tonic::metadata::{BinaryMetadataValue, MetadataMap};

use crate::{Error, ErrorCode, Refusal, Result};

/// What a person may do in one organization. Staff roles count only in an exchange centre.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    prost::Enumeration,
    async_graphql::Enum,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[repr(i32)]
pub enum Role {
    /// Manages the organization's members. In a centre: manages the exchange.
    Administrator = 0,
    /// Lists and maintains what the organization transfers.
    Broker = 1,
    /// Applies for transfers and bids.
    Bidder = 2,
    /// Acts in financing for an investor.
    Investor = 3,
    /// Signs contracts.
    Signatory = 4,
    /// Centre staff: reviews organizations, listings and awards.
    Reviewer = 5,
    /// Centre staff: reviews transfer applications and schedules bidding.
    Qualifier = 6,
    /// Centre staff: records bank receipts and settles.
    Cashier = 7,
    /// Centre staff: registers technology contracts.
    Registrar = 8,
    /// Centre staff: reads the audit trail.
    Auditor = 9,
}

/// One membership of the acting person.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ActingFor {
    /// The organization's id.
    #[prost(string, tag = "1")]
    pub organization_id: String,
    /// Roles there.
    #[prost(enumeration = "Role", repeated, tag = "2")]
    pub roles: Vec<i32>,
    /// Whether the organization is an exchange centre, so that staff roles count.
    #[prost(bool, tag = "3")]
    pub centre: bool,
    /// Whether the organization is verified and active.
    #[prost(bool, tag = "4")]
    pub verified: bool,
}

/// Who calls. Established once at the edge, carried in gRPC metadata, trusted only from peers.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Actor {
    /// The signed-in person's id; empty for an anonymous caller.
    #[prost(string, tag = "1")]
    pub person_id: String,
    /// Where the person is a member.
    #[prost(message, repeated, tag = "2")]
    pub memberships: Vec<ActingFor>,
    /// The session's id.
    #[prost(string, tag = "3")]
    pub session_id: String,
}

const HEADER: &str = "jishi-actor-bin";
const KEY_HEADER: &str = "jishi-idempotency-key";

impl Actor {
    /// The exchange itself, acting by rule or by time.
    #[must_use]
    pub fn exchange() -> Self {
        Actor { person_id: "exchange".into(), ..Actor::default() }
    }

    /// Whether the exchange itself acts. The gateway never makes this actor of a caller.
    #[must_use]
    pub fn is_exchange(&self) -> bool {
        self.person_id == Actor::exchange().person_id
    }

    /// A call's request that carries this actor.
    pub fn asks<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(std::time::Duration::from_secs(10));
        self.write(None, request.metadata_mut());
        request
    }

    /// Whether somebody is signed in.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.person_id.is_empty()
    }

    /// Whether the person has `role` in an exchange centre.
    #[must_use]
    pub fn is_staff(&self, role: Role) -> bool {
        self.memberships.iter().any(|m| m.centre && m.verified && m.has(role))
    }

    /// Whether the person has any staff role in an exchange centre.
    #[must_use]
    pub fn is_any_staff(&self) -> bool {
        self.memberships.iter().any(|m| m.centre && m.verified && !m.roles.is_empty())
    }

    /// Whether the person is a member of the organization.
    #[must_use]
    pub fn is_member(&self, organization_id: &str) -> bool {
        self.memberships.iter().any(|m| m.organization_id == organization_id)
    }

    /// Requires somebody to be signed in.
    pub fn require_known(&self) -> Result<()> {
        if self.is_known() { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// Requires one of the staff roles.
    pub fn require_staff(&self, roles: &[Role]) -> Result<()> {
        self.require_known()?;
        if roles.iter().any(|role| self.is_staff(*role)) {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::Forbidden).accepting(names(roles)).into())
    }

    /// Requires one of `roles` in the organization, which must be verified. A caller outside the
    /// organization is told that it does not exist (promise P-6).
    pub fn require_role(&self, organization_id: &str, roles: &[Role], field: &str) -> Result<()> {
        self.require_known()?;
        let Some(membership) = self.memberships.iter().find(|m| m.organization_id == organization_id) else {
            return Err(Error::not_found(field));
        };
        if !membership.verified {
            return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field(field).into());
        }
        if roles.iter().any(|role| membership.has(*role)) {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::Forbidden).at_field(field).accepting(names(roles)).into())
    }

    /// Writes the actor and the idempotency key into a call's metadata.
    pub fn write(&self, key: Option<&str>, metadata: &mut MetadataMap) {
        metadata.insert_bin(HEADER, BinaryMetadataValue::from_bytes(&self.encode_to_vec()));
        if let Some(value) = key.and_then(|key| key.parse().ok()) {
            metadata.insert(KEY_HEADER, value);
        }
    }

    /// Reads the actor from a call's metadata; an absent one is anonymous.
    #[must_use]
    pub fn read(metadata: &MetadataMap) -> Actor {
        let bytes = metadata.get_bin(HEADER).and_then(|value| value.to_bytes().ok());
        bytes.and_then(|bytes| Actor::decode(bytes).ok()).unwrap_or_default()
    }

    /// Reads the idempotency key from a call's metadata.
    #[must_use]
    pub fn read_key(metadata: &MetadataMap) -> Option<String> {
        metadata.get(KEY_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

impl ActingFor {
    /// Whether the membership carries `role`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&(role as i32))
    }
}

fn names(roles: &[Role]) -> String {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    names.join(" | ")
}
