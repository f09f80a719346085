use clap::ValueEnum;

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Role {
    /// The front door: GraphQL.
    Gateway,
    /// Who is who.
    Identity,
    /// Achievements, listings, transfer applications.
    Catalog,
    /// Bidding sessions and awards.
    Auction,
    /// Accounts, deposits, settlement.
    Ledger,
    /// Deals and contracts.
    Contract,
    /// Investors, financing projects, interests.
    Financing,
}

impl Role {
    /// The roles that own tables and answer gRPC.
    pub const SERVICES: [Role; 6] =
        [Role::Identity, Role::Catalog, Role::Auction, Role::Ledger, Role::Contract, Role::Financing];

    /// The roles that act on other services' events.
    pub const CONSUMERS: [Role; 5] = [Role::Identity, Role::Catalog, Role::Auction, Role::Ledger, Role::Contract];

    /// The role's name: in configuration keys, as the owner of events and as a consumer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Identity => "identity",
            Role::Catalog => "catalog",
            Role::Auction => "auction",
            Role::Ledger => "ledger",
            Role::Contract => "contract",
            Role::Financing => "financing",
        }
    }
}

/// The roles of one process.
#[derive(Clone, Debug)]
pub struct Roles(Option<Vec<Role>>);

impl Roles {
    /// The given roles, or all of them.
    #[must_use]
    pub fn new(only: Option<Vec<Role>>) -> Self {
        Self(only.filter(|only| !only.is_empty()))
    }

    /// Whether the role lives in this process.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.as_ref().is_none_or(|only| only.contains(&role))
    }

    /// Whether the exchange has other processes besides this one.
    #[must_use]
    pub fn are_split(&self) -> bool {
        self.0.is_some()
    }

    /// The services that live in this process.
    pub fn services(&self) -> impl Iterator<Item = Role> {
        Role::SERVICES.into_iter().filter(|role| self.has(*role))
    }

    /// The services that live elsewhere.
    pub fn elsewhere(&self) -> impl Iterator<Item = Role> {
        Role::SERVICES.into_iter().filter(|role| !self.has(*role))
    }
}
