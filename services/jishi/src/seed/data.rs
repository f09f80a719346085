//! The demo's data file, read into what the services take. No I/O.

use identity::{Authenticator, SeedOrganization, SeedPerson};
use kernel::{Money, Role};
use serde::{Deserialize, Deserializer, de::Error as _};
use wire::v1::{
    CentreTier, ConversionMode, FinancingKind, IpKind, ListingStatus, OrganizationKind, SaleMethod, Stage,
    TechnologyField,
};

use super::DEMO_PASSWORD;
use crate::Result;

const DATA: &str = include_str!("../../data/demo.toml");

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// The centre, the university, enterprises, the investor.
    pub organization: Vec<Organization>,
    /// The university's listings.
    pub listing: Vec<Listing>,
    /// What the investor looks for.
    pub investor: Investor,
    /// The university's financing projects.
    pub project: Vec<Project>,
}

/// One organization.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    name: String,
    /// What it is.
    #[serde(deserialize_with = "named")]
    pub kind: OrganizationKind,
    usci: String,
    region: String,
    legal_representative: String,
    industry: String,
    /// What a centre below the hub is.
    #[serde(default, deserialize_with = "maybe_named")]
    tier: Option<CentreTier>,
    /// The code of the centre that looks after it or lies above it, if not the hub.
    centre: Option<String>,
    /// Its people.
    pub members: Vec<Member>,
}

/// One account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The login.
    pub login: String,
    name: String,
    roles: Vec<String>,
    /// What the account may do, in Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// One achievement with its listing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Marks the item for good.
    pub key: String,
    pub title: String,
    pub summary: String,
    pub keywords: Vec<String>,
    #[serde(deserialize_with = "named")]
    pub field: TechnologyField,
    #[serde(deserialize_with = "named")]
    pub stage: Stage,
    #[serde(deserialize_with = "named")]
    pub ip_kind: IpKind,
    #[serde(deserialize_with = "named")]
    pub mode: ConversionMode,
    #[serde(deserialize_with = "named")]
    pub method: SaleMethod,
    #[serde(deserialize_with = "yuan")]
    pub floor_price: Money,
    #[serde(deserialize_with = "yuan")]
    pub deposit: Money,
    #[serde(deserialize_with = "yuan")]
    pub increment: Money,
    pub disclosure_days: i32,
    /// How far the demo takes it: DRAFT, SUBMITTED or DISCLOSED.
    #[serde(deserialize_with = "named")]
    pub until: ListingStatus,
}

/// What the investor looks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Investor {
    pub key: String,
    #[serde(deserialize_with = "all_named")]
    pub fields: Vec<TechnologyField>,
    #[serde(deserialize_with = "all_named")]
    pub stages: Vec<Stage>,
    #[serde(deserialize_with = "yuan")]
    pub least_amount: Money,
    #[serde(deserialize_with = "yuan")]
    pub most_amount: Money,
    pub regions: Vec<String>,
    /// On what the reviewer verifies it.
    pub evidence: String,
}

/// One financing project.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    pub key: String,
    pub title: String,
    pub teaser: String,
    pub details: String,
    #[serde(deserialize_with = "named")]
    pub kind: FinancingKind,
    #[serde(deserialize_with = "yuan")]
    pub amount: Money,
    #[serde(deserialize_with = "named")]
    pub field: TechnologyField,
    #[serde(deserialize_with = "named")]
    pub stage: Stage,
    pub region: String,
    /// Whether the reviewer publishes it.
    pub publish: bool,
}

impl Demo {
    /// Reads the file that is compiled in.
    pub fn read() -> Result<Demo> {
        Ok(toml::from_str(DATA).map_err(|error| format!("demo.toml: {error}"))?)
    }

    /// The organizations as identity takes them.
    pub fn organizations(&self) -> Result<Vec<SeedOrganization>> {
        self.organization.iter().map(Organization::seed).collect()
    }

    /// The code of the first organization of a kind.
    pub fn usci(&self, kind: OrganizationKind) -> Result<&str> {
        let found = self.organization.iter().find(|organization| organization.kind == kind);
        Ok(found.map(|organization| organization.usci.as_str()).ok_or_else(|| format!("demo.toml has no {kind:?}"))?)
    }
}

impl Organization {
    fn seed(&self) -> Result<SeedOrganization> {
        let members = self.members.iter().map(|member| member.seed(self.kind)).collect::<Result<_>>()?;
        Ok(SeedOrganization {
            name: self.name.clone(),
            kind: self.kind,
            usci: self.usci.clone(),
            region: self.region.clone(),
            legal_representative: self.legal_representative.clone(),
            industry: self.industry.clone(),
            tier: self.tier,
            centre: self.centre.clone(),
            members,
        })
    }
}

impl Member {
    fn seed(&self, kind: OrganizationKind) -> Result<SeedPerson> {
        Ok(SeedPerson {
            login: self.login.clone(),
            password: DEMO_PASSWORD.into(),
            name: self.name.clone(),
            roles: self.roles()?,
            second_factor: self.authenticator(kind)?,
        })
    }

    fn roles(&self) -> Result<Vec<Role>> {
        let roles = self.roles.iter().map(|role| role.parse().map_err(|_| format!("demo.toml: no role {role}")));
        Ok(roles.collect::<Result<_, _>>()?)
    }

    /// The second factor of whoever needs one: the centre's people, and who signs.
    pub fn authenticator(&self, kind: OrganizationKind) -> Result<Option<Authenticator>> {
        let needs = kind == OrganizationKind::ExchangeCentre || self.roles()?.iter().any(|r| r.needs_second_factor());
        Ok(needs.then(|| Authenticator::development(&self.login)))
    }
}

/// An enum of the wire by the name that GraphQL shows.
trait Named: Sized {
    const PREFIX: &'static str;
    fn by_name(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($name:ident $prefix:literal)*) => {$(
        impl Named for $name {
            const PREFIX: &'static str = $prefix;
            fn by_name(name: &str) -> Option<Self> { Self::from_str_name(name) }
        }
    )*};
}

named! {
    CentreTier "CENTRE_TIER_" ConversionMode "CONVERSION_MODE_" FinancingKind "FINANCING_KIND_" IpKind "IP_KIND_" ListingStatus "LISTING_STATUS_"
    OrganizationKind "ORGANIZATION_KIND_" SaleMethod "SALE_METHOD_" Stage "STAGE_" TechnologyField "TECHNOLOGY_FIELD_"
}

fn read<E: Named, D: serde::de::Error>(name: &str) -> Result<E, D> {
    E::by_name(&format!("{}{name}", E::PREFIX))
        .ok_or_else(|| D::custom(format!("{name:?} is not one of {}…", E::PREFIX)))
}

fn named<'de, E: Named, D: Deserializer<'de>>(deserializer: D) -> Result<E, D::Error> {
    read(&String::deserialize(deserializer)?)
}

fn maybe_named<'de, E: Named, D: Deserializer<'de>>(deserializer: D) -> Result<Option<E>, D::Error> {
    read(&String::deserialize(deserializer)?).map(Some)
}

fn all_named<'de, E: Named, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<E>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|name| read(name)).collect()
}

fn yuan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let text = String::deserialize(deserializer)?;
    Money::parse_yuan(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no amount of yuan")))
}
