//! The kinds of ids, named as the glossary names the objects.

kernel::ids! {
    /// A person who can sign in.
    PersonId = "person";
    /// One sign-in of a person.
    SessionId = "session";
    /// A legal person.
    OrganizationId = "organization";
    /// A research result.
    AchievementId = "achievement";
    /// A technology on offer.
    ListingId = "listing";
    /// A wish to acquire a listing.
    TransferApplicationId = "application";
    /// Competitive bidding for one listing.
    BiddingSessionId = "bidding";
    /// Who acquires a listing.
    AwardId = "award";
    /// An account of the ledger.
    AccountId = "account";
    /// Money that arrived at the bank.
    BankReceiptId = "receipt";
    /// A bidder's deposit.
    DepositId = "deposit";
    /// A movement between two accounts.
    TransferId = "transfer";
    /// The money side of a deal.
    SettlementId = "settlement";
    /// A deposit lost by default.
    ForfeitureId = "forfeiture";
    /// A confirmed award on its way to money and title.
    DealId = "deal";
    /// A technology contract.
    ContractId = "contract";
    /// What an investor looks for.
    InvestorId = "investor";
    /// A project that looks for money.
    FinancingProjectId = "project";
    /// An investor's interest in a project.
    InterestId = "interest";
    /// An offer of roles in an organization.
    InvitationId = "invitation";
    /// A key for a broker's tools.
    ApiKeyId = "apikey";
    /// What entitles a person to broker technology.
    BrokerCredentialId = "credential";
    /// A principal's commission to a broker.
    MandateId = "mandate";
    /// Two organizations that stand too near.
    ConflictOfInterestId = "conflict";
    /// An auctioneer and clerks in a hall.
    HallSessionId = "hall";
    /// A clerk's terminal.
    HallDeviceId = "device";
    /// A recorded fact.
    AuditRecordId = "event";
}
