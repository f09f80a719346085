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
    /// Manages the organization's members. In a centre: manages the centre and those below it.
    Administrator = 0,
    /// Lists and maintains what a principal transfers, under a mandate (SM-11), or what the own organization does.
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
    /// Lists and maintains what the own organization transfers.
    Transferor = 10,
    /// Centre staff: enters in the hall what people bring there.
    HallClerk = 11,
    /// Centre staff: presides over hall sessions; the licence number stands with each (拍卖法 14).
    Auctioneer = 12,
}

impl Role {
    /// Whether the role exists in an exchange centre only.
    #[must_use]
    pub fn is_staff(self) -> bool {
        use Role::{Auctioneer, Auditor, Cashier, HallClerk, Qualifier, Registrar, Reviewer};
        matches!(self, Reviewer | Qualifier | HallClerk | Cashier | Registrar | Auditor | Auctioneer)
    }

    /// Whether the role counts only in a session with a second factor: all that is done for a centre,
    /// and whoever signs.
    #[must_use]
    pub fn needs_second_factor(self) -> bool {
        self.is_staff() || self == Role::Signatory
    }
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
    /// In a centre: the ids of the centre and of all below it. Staff roles reach the records of these.
    #[prost(string, repeated, tag = "5")]
    pub centres: Vec<String>,
    /// In a centre: whether it is the hub, whose staff reaches every record.
    #[prost(bool, tag = "6")]
    pub hub: bool,
    /// The mandate (SM-11) under which a broker acts for this organization without belonging to it; else empty.
    #[prost(string, tag = "7")]
    pub mandate_id: String,
    /// The centre that looks after this organization; new records of it come into that centre's charge.
    #[prost(string, tag = "8")]
    pub centre_id: String,
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
    /// Whether the session was begun with a second factor.
    #[prost(bool, tag = "4")]
    pub second_factor: bool,
    /// The network address of the caller as the edge saw it; empty inside the exchange.
    #[prost(string, tag = "5")]
    pub address: String,
}

/// The records that a member of the staff reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of every centre.
    Everything,
    /// Those of these centres.
    Centres(Vec<String>),
}

impl Scope {
    /// Whether a record of the centre lies within.
    #[must_use]
    pub fn reaches(&self, centre_id: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Centres(centres) => centres.iter().any(|centre| centre == centre_id),
        }
    }

    /// Whether nothing lies within.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Scope::Centres(centres) if centres.is_empty())
    }
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

    /// Whether the person has `role` in an exchange centre, whichever.
    #[must_use]
    pub fn is_staff(&self, role: Role) -> bool {
        !self.scope(&[role]).is_empty()
    }

    /// Whether the person has any staff role in an exchange centre.
    #[must_use]
    pub fn is_any_staff(&self) -> bool {
        !self.oversight().is_empty()
    }

    /// The records that the person reaches in one of the staff `roles`.
    #[must_use]
    pub fn scope(&self, roles: &[Role]) -> Scope {
        let holds = |place: &ActingFor| self.second_factor && roles.iter().any(|role| place.has(*role));
        let places: Vec<_> = self.memberships.iter().filter(|m| m.centre && m.verified && holds(m)).collect();
        if self.is_exchange() || places.iter().any(|place| place.hub) {
            return Scope::Everything;
        }
        Scope::Centres(places.into_iter().flat_map(|place| place.centres.iter().cloned()).collect())
    }

    /// The records that the person reaches in any staff role at all.
    #[must_use]
    pub fn oversight(&self) -> Scope {
        let staff: Vec<Role> = <Role as strum::IntoEnumIterator>::iter().filter(|role| role.is_staff()).collect();
        self.scope(&staff)
    }

    /// Where the person belongs. A broker under a mandate does not belong to the principal.
    pub fn own_places(&self) -> impl Iterator<Item = &ActingFor> {
        self.memberships.iter().filter(|place| place.mandate_id.is_empty())
    }

    /// Whether the person belongs to the organization.
    #[must_use]
    pub fn is_member(&self, organization_id: &str) -> bool {
        self.own_places().any(|place| place.organization_id == organization_id)
    }

    /// Whether the person belongs to the organization or acts for it under a mandate.
    #[must_use]
    pub fn acts_for(&self, organization_id: &str) -> bool {
        self.memberships.iter().any(|m| m.organization_id == organization_id)
    }

    /// The centre that looks after an organization for which the person acts; empty if it is not known.
    #[must_use]
    pub fn centre_of(&self, organization_id: &str) -> &str {
        let place = self.memberships.iter().find(|m| m.organization_id == organization_id);
        place.map_or("", |place| place.centre_id.as_str())
    }

    /// Requires somebody to be signed in.
    pub fn require_known(&self) -> Result<()> {
        if self.is_known() { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// Requires one of the staff roles, in whichever centre.
    pub fn require_staff(&self, roles: &[Role]) -> Result<()> {
        self.require_known()?;
        if !self.scope(roles).is_empty() {
            return Ok(());
        }
        let places: Vec<_> = self.memberships.iter().filter(|m| m.centre && m.verified).collect();
        let held = !self.second_factor && roles.iter().any(|role| places.iter().any(|place| place.has(*role)));
        Err(lacks(held, roles).into())
    }

    /// Requires one of the staff roles in the record's centre or in one above it. Staff of other centres are told
    /// that the record does not exist (promise P-6).
    pub fn require_staff_at(&self, centre_id: &str, roles: &[Role], field: &str) -> Result<()> {
        self.require_staff(roles)?;
        if self.scope(roles).reaches(centre_id) { Ok(()) } else { Err(Error::not_found(field)) }
    }

    /// Requires one of `roles` in the organization, which must be verified. A caller outside the
    /// organization is told that it does not exist (promise P-6); a mandate opens only what asks for it.
    pub fn require_role(&self, organization_id: &str, roles: &[Role], field: &str) -> Result<()> {
        self.require_known()?;
        let places: Vec<_> = self.own_places().filter(|place| place.organization_id == organization_id).collect();
        if places.is_empty() {
            return Err(Error::not_found(field));
        }
        if !places.iter().any(|place| place.verified) {
            return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field(field).into());
        }
        let holds = |role: &Role| self.counts(*role) && places.iter().any(|place| place.verified && place.has(*role));
        if roles.iter().any(holds) {
            return Ok(());
        }
        let held = roles.iter().any(|role| places.iter().any(|place| place.has(*role)));
        Err(lacks(held, roles).at_field(field).into())
    }

    /// Whether the role counts in this session outside a centre.
    fn counts(&self, role: Role) -> bool {
        self.second_factor || !role.needs_second_factor()
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

/// Why none of the roles counts: not held, or held without the second factor that it takes.
fn lacks(held: bool, roles: &[Role]) -> Refusal {
    let code = if held { ErrorCode::SecondFactorRequired } else { ErrorCode::Forbidden };
    Refusal::new(code).accepting(names(roles))
}

fn names(roles: &[Role]) -> String {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    names.join(" | ")
}
